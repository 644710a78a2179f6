// The harness: starts the system, puts the load on it, does the acts, waits for the end, and gives the checks. `make faults` runs it for ten minutes
// (FAULTS_MINUTES) with a seed (FAULTS_SEED) that it prints; tests/faults/everything.test.js has a short form of it.
import { spawnSync } from 'node:child_process';
import { pathToFileURL } from 'node:url';
import { sleep, temporaryFolder } from '../instance.js';
import { act, allActs, nameOf, perform, well } from './acts.js';
import { CHECKS, Checks } from './checks.js';
import { numbers } from './ledger.js';
import { Load } from './load.js';
import { World } from './world.js';

/** The system under load from its start to the end of the load. `acts`: what is done to it, a function of (world, all acts, tell). */
export async function endure({ seed, warm, acts, say }) {
    const world = new World(temporaryFolder(), seed);
    const began = Date.now();
    const seconds = () => ((Date.now() - began) / 1000).toFixed(1);
    const tell = (part, how, took) => {
        const { asked, acknowledged, open } = world.ledger.totals;
        const heard = world.ears.reduce((sum, { events }) => sum + events.length, 0);
        say([
            `${seconds().padStart(6)} s  ${part.padEnd(32)} ${how.padEnd(18)} ${took.toFixed(1).padStart(5)} s`,
            `asked ${asked}, acknowledged ${acknowledged}, under way ${open}, heard ${heard}, defects ${world.ledger.defects.length}`,
        ].join('   '));
    };
    try {
        await world.start();
        await well(world);
        world.load = new Load(world);
        await world.load.open();
        world.load.start();
        await sleep(warm);
        world.before = await world.memory();
        tell('everything', 'started', Number(seconds()));
        await acts(world, allActs(world), tell);
        await world.load.stop();
        await well(world).catch((error) => world.ledger.defect(`at the end: ${error.message}`));
        tell('the load', 'ended', 0);
    } catch (error) {
        await world.stop();
        throw error;
    }
    return { world, checks: new Checks(world) };
}

/** Acts by their names: `part` and `how`, each with the seed's own choices. */
export const chosen = (list) => async (world, all, tell) => {
    const random = numbers(world.seed);
    for (const group of list) {
        await Promise.all(group.map((name) => {
            const found = all.find((one) => nameOf(one) === name);
            if (!found) throw new Error(`no act ${name}`);
            return act(world, found, numbers(random.below(2 ** 32)), tell);
        }));
        await well(world, 'promptly').catch((error) => world.ledger.defect(`after ${group.join(' and ')}: ${error.message}`));
    }
};

async function main() {
    const minutes = Number(process.env.FAULTS_MINUTES || 10);
    const seed = Number(process.env.FAULTS_SEED || Math.floor(Math.random() * 2 ** 31));
    if (!(minutes > 0 && Number.isInteger(seed))) {
        console.error('FAULTS_MINUTES is a number of minutes, FAULTS_SEED a whole number');
        process.exit(2);
    }
    console.log(`faults for ${minutes} minutes, FAULTS_SEED=${seed}`);
    const { world, checks } = await endure({ seed, warm: 5000, acts: (w, all, tell) => perform(w, all, minutes * 60, tell), say: console.log });
    let failed = 0;
    for (const [what, method] of CHECKS) {
        try {
            await checks[method]();
            console.log(`ok      ${what}`);
        } catch (error) {
            failed += 1;
            console.log(`FAILED  ${what}\n${error.message}`);
        }
    }
    console.log(['', ...checks.report(), ''].join('\n'));
    if (failed > 0 && process.env.FAULTS_KEEP) spawnSync('cp', ['-a', world.instance.data, process.env.FAULTS_KEEP]);
    await world.stop();
    console.log(`FAULTS_SEED=${seed}: ${CHECKS.length - failed} passed, ${failed} failed`);
    process.exit(failed > 0 ? 1 : 0);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) await main();
