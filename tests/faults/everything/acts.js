// What is done to the system while it works. Each act names its part, does it, does what an operator would do if the part does not come back by
// itself (`./mopl up`, or the server started again, for those that mopl does not know), and is over when everything is well again.
import { childrenOf, sleep, until } from '../instance.js';
import { numbers } from './ledger.js';

const BACK_S = 120;
const A_MINUTE_MS = 60000;

function signal(pids, name) {
    for (const pid of pids) {
        try {
            if (pid > 0) process.kill(pid, name);
        } catch (error) {
            if (error.code !== 'ESRCH') throw error; // gone meanwhile
        }
    }
}

async function pause(pids, ms) {
    signal(pids, 'SIGSTOP');
    try {
        await sleep(ms);
    } finally {
        signal(pids, 'SIGCONT');
    }
}

const running = (pid) => {
    try {
        return process.kill(pid, 0);
    } catch {
        return false;
    }
};

const gone = (pids) => until('they are gone', BACK_S, () => !pids.some((pid) => pid > 0 && running(pid)));

/** Ends the main process of a service, and starts it as an operator does. */
async function endAndUp(world, name, how, awayMs) {
    const pid = world.instance.pid(name);
    if (name === 'redis') world.forgotten.push(Date.now());
    signal([pid], how);
    await gone([pid]);
    await sleep(awayMs);
    await world.instance.aside('up');
}

/** Children of a master that are there again, as many as before and none of the old ones. */
async function replaced(world, name, old, count) {
    await until(`the processes of ${name}`, BACK_S, () => {
        const now = world.instance.workers(name);
        return now.length >= count && !old.some((pid) => now.includes(pid));
    });
}

async function endWorkers(world, name, how, old) {
    const crew = world.instance.workers(name);
    signal(old, how);
    await replaced(world, name, old, crew.length);
}

async function killBackend(world) {
    const [[pid]] = await world.rows("SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'mopl %' ORDER BY random() LIMIT 1");
    signal([Number(pid)], 'SIGKILL');
    await sleep(500);
}

async function endBridge(world, bridge, which, how) {
    await until('two processes', BACK_S, () => world.active(bridge) > 0 && world.standby(bridge) > 0 && world.instance.workers(bridge).length === 2);
    const pid = world[which](bridge);
    signal([pid], how);
    await replaced(world, bridge, [pid], 2);
    await until('one that serves, and one that stands by', BACK_S, () => running(world.active(bridge)) && running(world.standby(bridge)));
}

async function stopS3(world, how, random) {
    const { server } = world.s3;
    const ended = new Promise((done) => server.once('close', done));
    server.kill(how);
    await ended;
    await sleep(random.between(500, 3000));
    await world.s3.start();
}

async function stopMail(world, random) {
    await world.mail.stop();
    await sleep(random.between(500, 3000));
    await world.mail.start();
}

async function onJob(world, how, random) {
    const { load } = world;
    for (const end = Date.now() + 20000; !load.living && Date.now() < end; ) await sleep(5);
    if (!load.living) return;
    await sleep(random.between(5, 200));
    const { pid } = load.living ?? {};
    if (!pid) return;
    if (how === 'pause') await pause([pid], 1500);
    else signal([pid], how);
}

/** Every act there is: {part, how, run}; `alone`: nothing else may be done meanwhile. */
export function allActs(world) {
    const { responders, workers, bridges, stores } = world.services;
    const { instance } = world;
    const acts = [];
    const add = (part, how, weight, run, alone = false) => acts.push({ part, how, weight, run, alone });
    const aMoment = (random) => random.between(300, 2500);
    const aWhile = (random) => random.between(1000, 4000);
    const ended = { 'kill -9': 'SIGKILL', SIGTERM: 'SIGTERM' };
    for (const name of [...responders, ...workers]) {
        const crew = () => instance.workers(name);
        add(`${name}, a worker`, 'kill -9', 1, (random) => endWorkers(world, name, 'SIGKILL', [random.pick(crew())]));
        add(`${name}, all workers`, 'kill -9', 1, () => endWorkers(world, name, 'SIGKILL', crew()));
        add(`${name}, a worker`, 'SIGTERM', 1, (random) => endWorkers(world, name, 'SIGTERM', [random.pick(crew())]));
        add(`${name}, all workers`, 'pause', 1, (random) => pause(crew(), aWhile(random)));
        add(`${name}, master`, 'pause', 1, (random) => pause([instance.pid(name)], aWhile(random)));
    }
    for (const name of bridges) {
        for (const which of ['active', 'standby']) {
            for (const [how, signalled] of Object.entries(ended)) add(`${name}, ${which}`, how, 3, () => endBridge(world, name, which, signalled));
            add(`${name}, ${which}`, 'pause', 3, (random) => pause([world[which](name)], aWhile(random)));
        }
    }
    for (const name of [...responders, ...workers, ...bridges]) {
        for (const [how, signalled] of Object.entries(ended)) add(`${name}, master`, `${how}, up`, 1, (random) => endAndUp(world, name, signalled, aMoment(random)));
    }
    for (const name of [...stores, 'lighttpd']) {
        const gently = name === 'postgres' ? 'SIGINT' : 'SIGTERM'; // told SIGTERM it waits for all who are connected
        for (const [how, signalled] of Object.entries({ 'kill -9': 'SIGKILL', [gently]: gently })) {
            add(name, `${how}, up`, 6, (random) => endAndUp(world, name, signalled, aMoment(random)));
        }
        add(name, 'kill -9, 1 min, up', 1, () => endAndUp(world, name, 'SIGKILL', A_MINUTE_MS), true);
        add(name, 'pause', 6, (random) => pause([instance.pid(name), ...(name === 'postgres' ? childrenOf(instance.pid(name)) : [])], aWhile(random)));
        add(name, 'mopl restart', 2, () => restart(world, name), true);
    }
    add('postgres, a backend', 'kill -9', 3, () => killBackend(world));
    for (const [how, signalled] of Object.entries(ended)) add('S3', `${how}, start`, 3, (random) => stopS3(world, signalled, random));
    add('S3', 'pause', 2, (random) => pause([world.s3.server.pid], aWhile(random)));
    add('mail server', 'stop, start', 3, (random) => stopMail(world, random));
    for (const how of ['SIGKILL', 'SIGTERM', 'pause']) add('a job', how === 'SIGKILL' ? 'kill -9' : how, 3, (random) => onJob(world, how, random));
    add('everything', 'mopl restart', 2, () => instance.aside('restart'), true);
    add('everything', 'kill -9, up', 2, () => killAll(world), true);
    return acts;
}

function restart(world, name) {
    if (name === 'redis') world.forgotten.push(Date.now());
    return world.instance.aside('restart', name);
}

async function killAll(world) {
    const pids = world.instance.processes();
    world.forgotten.push(Date.now());
    signal(pids, 'SIGKILL');
    await gone(pids);
    await world.instance.aside('up');
}

/** All masters and children are there, and the health says so. */
export async function well(world, prompt) {
    await world.healthy(BACK_S, prompt);
    const { responders, workers, bridges } = world.services;
    const expected = (name) => (bridges.includes(name) ? 2 : workers.includes(name) || name === 'metrics' ? 1 : Number(world.instance.settings.MOPL_WORKERS));
    let short;
    await until('all processes', BACK_S, async () => {
        const crews = await world.crews();
        short = [...responders, ...workers, ...bridges].filter((name) => crews[name].length !== expected(name));
        return short.length === 0;
    }).catch((error) => {
        throw new Error(`${error.message}: ${short}`);
    });
}

/** Acts for so many seconds, drawn by their weights; now and then a second one begins before the first is over. The same seed draws the same. */
export async function perform(world, acts, seconds, tell) {
    const random = numbers(world.seed);
    const weights = acts.reduce((sum, { weight }) => sum + weight, 0);
    const draw = () => {
        let at = random.next() * weights;
        return acts.find(({ weight }) => (at -= weight) < 0) ?? acts[0];
    };
    for (const end = Date.now() + seconds * 1000; Date.now() < end; ) {
        const [first, second, both, later, rest] = [draw(), draw(), random.next() < 0.25, random.between(50, 1500), random.between(500, 2500)];
        const [one, other] = [numbers(random.below(2 ** 32)), numbers(random.below(2 ** 32))];
        const meanwhile = both && !first.alone && !second.alone && serviceOf(first) !== serviceOf(second);
        await Promise.all([act(world, first, one, tell), meanwhile && sleep(later).then(() => act(world, second, other, tell))]);
        const done = (meanwhile ? [first, second] : [first]).map(nameOf).join(' and ');
        await well(world, 'promptly').catch((error) => world.ledger.defect(`after ${done}: ${error.message}`));
        await sleep(rest);
    }
}

const serviceOf = ({ part }) => part.split(',')[0];
export const nameOf = ({ part, how }) => `${part}: ${how}`;

/** One act; what it could not do is a defect, and the next one comes all the same. */
export async function act(world, { part, how, run }, random, tell) {
    const began = Date.now();
    const ready = how === 'mopl restart' ? well(world) : Promise.resolve(); // an operator does not restart what is only just starting
    await ready.then(() => run(random)).catch((error) => world.ledger.defect(`${part}: ${how}: ${error.message}`));
    tell(part, how, (Date.now() - began) / 1000);
}
