/* A FastCGI responder that does nothing: what it reaches under the front server is the floor of every other one (F of P1). */
#include <fcgiapp.h>
#include <signal.h>

int main(void) {
    FCGX_Request request;
    signal(SIGPIPE, SIG_IGN);
    if (FCGX_Init() != 0 || FCGX_InitRequest(&request, 0, 0) != 0) return 1;
    while (FCGX_Accept_r(&request) == 0) {
        FCGX_PutS("Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", request.out);
        FCGX_Detach(&request); /* the quickest way to close a connection on which nothing is left to read */
        FCGX_Finish_r(&request);
    }
    return 0;
}
