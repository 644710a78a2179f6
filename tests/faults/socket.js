// A WebSocket without any library, which sees every frame and close code, and may stop reading.
import assert from 'node:assert/strict';
import http from 'node:http';
import { until } from './instance.js';

/** A raw WebSocket: what came, and the code it was closed with. */
export class Socket {
    /** `to`: {port} on the loopback, or {socketPath} of a bridge. */
    constructor(to) {
        this.text = '';
        this.bytes = Buffer.alloc(0);
        this.opened = new Promise((done, fail) => {
            const headers = { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==' };
            const request = http.get({ host: '127.0.0.1', ...to, path: '/ws/websocket', headers, agent: false });
            request.on('upgrade', (response, socket, head) => {
                this.socket = socket;
                this.take(head);
                socket.on('data', (bytes) => this.take(bytes));
                socket.on('close', () => (this.gone = true));
                socket.on('error', () => (this.gone = true));
                done(this);
            });
            request.on('response', (response) => fail(new Error(`answered ${response.statusCode}`)));
            request.on('error', fail);
        });
    }

    take(bytes) {
        this.bytes = Buffer.concat([this.bytes, bytes]);
        for (;;) {
            if (this.bytes.length < 2) return;
            let length = this.bytes[1];
            let head = 2;
            if (length === 126) {
                if (this.bytes.length < 4) return;
                length = this.bytes.readUInt16BE(2);
                head = 4;
            }
            if (this.bytes.length < head + length) return;
            const opcode = this.bytes[0] & 0xf;
            const payload = this.bytes.subarray(head, head + length);
            this.bytes = this.bytes.subarray(head + length);
            if (opcode === 1) this.text += payload.toString();
            if (opcode === 8) {
                this.code = payload.readUInt16BE(0);
                this.frame(0x88, payload.subarray(0, 2));
            }
        }
    }

    frame(opcode, payload) {
        this.socket.write(Buffer.concat([Buffer.from([opcode, 0x80 | payload.length, 0, 0, 0, 0]), payload]));
    }

    send(text) {
        const payload = Buffer.from(text);
        assert.ok(payload.length < 65536);
        const length = payload.length < 126 ? [0x80 | payload.length] : [0x80 | 126, payload.length >> 8, payload.length & 0xff];
        this.socket.write(Buffer.concat([Buffer.from([0x81, ...length, 0, 0, 0, 0]), payload]));
    }

    async connect(token) {
        await this.opened;
        this.send(`CONNECT\naccept-version:1.2\nAuthorization:Bearer ${token}\n\n\0`);
        await until('CONNECTED', 30, () => this.text.includes('CONNECTED\n'));
        return this;
    }
}
