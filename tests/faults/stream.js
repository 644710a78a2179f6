import http from 'node:http';

/** An event stream that connects again whenever it ends, as the web client does, and counts what it hears. */
export class Stream {
    /** `last`: the id behind which it resumes. */
    constructor(port, token, last) {
        Object.assign(this, { port, token, last, events: [], statuses: [], ends: 0 });
        this.open();
    }

    open() {
        const target = `/api/sse${this.last ? `?lastEventId=${this.last}` : ''}`;
        const options = { host: '127.0.0.1', port: this.port, path: target, headers: { Authorization: `Bearer ${this.token}` }, agent: false };
        const again = () => {
            if (this.over) return;
            this.ends += 1;
            setTimeout(() => this.open(), 20);
        };
        this.request = http.get(options, (response) => {
            this.statuses.push(response.statusCode);
            let rest = '';
            response.on('data', (bytes) => {
                const blocks = (rest + bytes).split('\n\n');
                rest = blocks.pop();
                for (const block of blocks) this.hear(block);
            });
            response.on('end', again);
            response.on('error', again);
        });
        this.request.on('error', (error) => {
            if (!this.over && !this.request.res) {
                this.statuses.push(error.code ?? error.message);
                again();
            }
        });
    }

    hear(block) {
        const field = (name) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1];
        if (field('id')) this.last = field('id');
        if (field('event')) this.events.push({ name: field('event'), id: field('id'), data: JSON.parse(field('data')) });
    }

    close() {
        this.over = true;
        this.request.destroy();
    }
}
