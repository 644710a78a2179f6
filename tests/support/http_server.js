// A server on a free port of the loopback, which it prints, with answers good and bad for tests of HTTP clients.
// Ends when its standard input does.
'use strict';
import http from 'node:http';

let connections = 0;
const handlers = {
  echo(req, res, _, body) {
    res.setHeader('Content-Type', 'application/json');
    res.end(JSON.stringify({ method: req.method, url: req.url, headers: req.headers, body, connection: req.socket.number }));
  },
  // status/CODE, whatever follows
  status(req, res, rest) {
    const code = rest.split('/')[0];
    res.writeHead(Number(code), { 'X-Status': code }).end('status ' + code);
  },
  // says/TEXT, percent-encoded, whatever follows
  says(req, res, rest) { res.end(decodeURIComponent(rest.split('/')[0])); },
  json(req, res) { res.end('{"acknowledged":true}'); },
  bytes(req, res, rest) {
    res.write('x');
    res.end('x'.repeat(Number(rest) - 1));
  },
  header(req, res, rest, body) { res.setHeader(rest, body).end(); },
  headers(req, res, rest) {
    for (let i = 0; i < Number(rest); i++) res.setHeader('X-Long-' + i, 'y'.repeat(1000));
    res.end();
  },
  silent() {},
  drip(req, res) {
    const timer = setInterval(() => res.write('.'), 20);
    res.on('close', () => clearInterval(timer));
  },
  cut(req, res) {
    res.writeHead(200, { 'Content-Length': 100 });
    res.write('only this', () => req.socket.destroy());
  },
  interim(req, res) {
    req.socket.write('HTTP/1.1 103 Early Hints\r\nX-Interim: yes\r\n\r\n');
    res.setHeader('X-Final', 'yes').end('final');
  },
  redirect(req, res) { res.writeHead(302, { Location: '/echo' }).end(); },
  garbage(req) { req.socket.end('220 mail ready\r\n'); },
  leave(req, res) { res.end('bye', () => setImmediate(() => req.socket.destroy())); },
};

const server = http.createServer((req, res) => {
  const [, name, rest] = req.url.match(/^\/([^/?]*)\/?(.*)$/);
  const parts = [];
  req.on('data', (part) => parts.push(part));
  req.on('end', () => {
    if (handlers[name]) handlers[name](req, res, rest, Buffer.concat(parts).toString());
    else res.writeHead(404).end();
  });
});
server.keepAliveTimeout = 60000;
server.on('connection', (socket) => { socket.number = ++connections; });
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.on('end', () => process.exit(0)).resume();
