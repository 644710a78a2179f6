#!/usr/bin/env node
// The fan-out of a fleet of bridges, simulated: people are spread over bridges, rooms have Zipf's sizes, and each message of a room goes
// to every bridge that serves one of its watchers. Prints what one bridge has to read and to deliver, by the way messages reach it.
// usage: fleet.mjs [--online N] [--bridges N] [--rooms N] [--zipf S] [--watching SHARE] [--say SECONDS] [--cap PER_SECOND]
//                  [--cpu-us MICROSECONDS] [--seed N]
//   --online    people connected at once (10,000,000)     --bridges  bridge processes (400)
//   --rooms     rooms with anybody in them (200,000)      --zipf     exponent of their sizes (1.0)
//   --watching  share of the people who are in a room (0.2)
//   --say       seconds between two messages of a watcher (60)
//   --cap       messages a second that a room shows at most (20): beyond it nobody can read
//   --cpu-us    processor time of one delivery (5, see docs/benchmarks.md)
import { parseArgs } from 'node:util';

const DEFAULTS = { online: 10e6, bridges: 400, rooms: 200e3, zipf: 1.0, watching: 0.2, say: 60, cap: 20, 'cpu-us': 5, seed: 1 };
const options = Object.fromEntries([...Object.keys(DEFAULTS), 'help'].map((name) => [name, { type: name === 'help' ? 'boolean' : 'string' }]));
let given;
try {
    given = parseArgs({ options }).values;
    for (const [name, value] of Object.entries(given)) if (name !== 'help' && !(Number(value) > 0)) throw new Error(`--${name} must be a number above 0`);
} catch (error) {
    console.error(`fleet.mjs: ${error.message}`);
    process.exit(2);
}
if (given.help) {
    const { readFileSync } = await import('node:fs');
    console.log(readFileSync(new URL(import.meta.url), 'utf8').split('\n').slice(1, 12).map((line) => line.replace(/^\/\/ ?/, '')).join('\n'));
    process.exit(0);
}
const is = Object.fromEntries(Object.entries({ ...DEFAULTS, ...given }).map(([name, value]) => [name, Number(value)]));

/** mulberry32: the same figures for the same seed. */
function generator(seed) {
    let state = seed >>> 0;
    return () => {
        state = (state + 0x6d2b79f5) >>> 0;
        let t = Math.imul(state ^ (state >>> 15), state | 1);
        t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
        return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    };
}
const random = generator(is.seed);

/** Sizes of the rooms, largest first, by Zipf's law; they add up to the watchers. */
function roomSizes() {
    const weights = Array.from({ length: is.rooms }, (_, i) => (i + 1) ** -is.zipf);
    const all = weights.reduce((sum, weight) => sum + weight, 0);
    const watchers = is.online * is.watching;
    return weights.map((weight) => Math.max(1, Math.round((weight / all) * watchers)));
}

/** How many of the bridges serve a room of `size` people: thrown one by one when they are few, else by expectation. */
function spread(size) {
    const expected = is.bridges * (1 - (1 - 1 / is.bridges) ** size);
    if (size > 8 * is.bridges) return is.bridges;
    if (size > 2000) return Math.round(expected);
    const hit = new Set();
    for (let i = 0; i < size; i += 1) hit.add(Math.floor(random() * is.bridges));
    return hit.size;
}

const sizes = roomSizes();
const total = { messages: 0, said: 0, deliveries: 0, copies: 0, messagesOfLarge: 0, deliveriesOfLarge: 0 };
for (const size of sizes) {
    const said = size / is.say;
    const shown = Math.min(said, is.cap);
    total.said += said;
    total.messages += shown;
    total.deliveries += shown * size;
    total.copies += shown * spread(size);
    if (said > is.cap) {
        total.messagesOfLarge += shown;
        total.deliveriesOfLarge += shown * size;
    }
}

const whole = (number) => Math.round(number).toLocaleString('en');
const cpu = (deliveries, read) => ((deliveries * is['cpu-us'] + read * 2) / 1e6) * 100; // reading and dropping costs about 2 microseconds
const perBridge = total.deliveries / is.bridges;
const ways = [
    ['every bridge reads every message', total.messages],
    ['a bridge reads the rooms it serves', total.copies / is.bridges],
    ['people of a room share a bridge', total.messages / is.bridges],
];

console.log(`${whole(is.online)} people on ${is.bridges} bridges (${whole(is.online / is.bridges)} each), ${whole(is.online * is.watching)} of them in ${whole(is.rooms)} rooms`);
console.log(`largest room ${whole(sizes[0])}, median ${whole(sizes[Math.floor(sizes.length / 2)])}; said ${whole(total.said)}/s, shown ${whole(total.messages)}/s (at most ${is.cap}/s a room)`);
console.log(`deliveries ${whole(total.deliveries)}/s, ${whole(perBridge)}/s a bridge; ${((100 * total.deliveriesOfLarge) / total.deliveries).toFixed(0)} % of them by the rooms at their limit`);
console.log('');
console.log('how messages reach a bridge                read/s  deliveries/s   core %');
for (const [name, read] of ways) {
    console.log(`${name.padEnd(38)} ${whole(read).padStart(10)} ${whole(perBridge).padStart(13)} ${cpu(perBridge, read).toFixed(1).padStart(8)}`);
}
