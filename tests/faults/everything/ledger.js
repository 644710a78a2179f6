// What was asked of the system and what it answered. A register is one thing of the domain (a review of a person, a place in a playlist) with
// the values it may have: one while every change of it was acknowledged, and two, the old and the new, once a change was not. Then nobody
// touches it any more, since a request that was never answered may still take effect late. Values are texts, null is `not there`.

/** Numbers that can be had again: those of a seed (mulberry32). */
export function numbers(seed) {
    let state = seed >>> 0;
    const next = () => {
        state = (state + 0x6d2b79f5) >>> 0;
        let t = state;
        t = Math.imul(t ^ (t >>> 15), t | 1);
        t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
        return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
    return {
        next,
        below: (n) => Math.floor(next() * n),
        pick: (list) => list[Math.floor(next() * list.length)],
        between: (low, high) => low + next() * (high - low),
    };
}

export class Ledger {
    constructor() {
        this.kinds = new Map();
        this.defects = []; // answers that must not be, in the order they came
        this.marks = 0;
    }

    kind(name) {
        if (!this.kinds.has(name)) this.kinds.set(name, { asked: 0, acknowledged: 0, open: 0, registers: new Map() });
        return this.kinds.get(name);
    }

    /** A text that nothing else has. */
    mark(letter) {
        this.marks += 1;
        return `<${letter}${this.marks}>`;
    }

    defect(text) {
        this.defects.push(text);
    }

    register(name, key, value = null) {
        const { registers } = this.kind(name);
        if (!registers.has(key)) registers.set(key, { name, key, values: [value], busy: false, open: false });
        return registers.get(key);
    }

    /** Those that can be changed, and are as `there` says. */
    free(name, there, fits = () => true) {
        return [...this.kind(name).registers.values()].filter((one) => !one.busy && !one.open && (one.values[0] !== null) === there && fits(one));
    }

    /** Asks for a change; `request` gives an answer as Instance.send does. True if it was acknowledged. */
    async change(register, value, request) {
        const kind = this.kind(register.name);
        register.busy = true;
        kind.asked += 1;
        kind.open += 1;
        const answer = await request();
        register.busy = false;
        kind.open -= 1;
        if (answer.status >= 200 && answer.status < 300) {
            kind.acknowledged += 1;
            register.values = [value];
            register.answer = answer.json;
            return true;
        }
        register.values = [...register.values, value];
        register.open = true;
        if (answer.status > 0 && answer.status < 500) this.defect(`${register.name} ${register.key}: ${answer.status} ${answer.text}`);
        return false;
    }

    /** What hangs on something that was deleted, or may have been. */
    drop(name, belongs, surely) {
        for (const register of this.kind(name).registers.values()) {
            if (!belongs(register)) continue;
            register.values = surely && !register.open && !register.busy ? [null] : [...register.values, null];
            register.open = true;
        }
    }

    get totals() {
        const all = [...this.kinds.values()];
        const sum = (field) => all.reduce((total, kind) => total + kind[field], 0);
        return { asked: sum('asked'), acknowledged: sum('acknowledged'), open: sum('open') };
    }

    /** Rows [key, value] of a kind against its registers: {there, lost, doubled, unasked}, the last three as lists of texts. */
    compare(name, rows) {
        const { registers } = this.kind(name);
        const found = new Map();
        for (const [key, value] of rows) found.set(key, [...(found.get(key) ?? []), value]);
        const result = { there: rows.length, lost: [], doubled: [], unasked: [...found.keys()].filter((key) => !registers.has(key)) };
        for (const { key, values } of registers.values()) {
            const has = found.get(key) ?? [];
            if (has.length > 1) result.doubled.push(`${name} ${key}: ${has.join(' and ')}`);
            else if (!values.includes(has[0] ?? null)) result.lost.push(`${name} ${key}: ${has[0] ?? 'not there'}, not ${values.join(' or ')}`);
        }
        return result;
    }
}

/** Lines of a table, columns padded. */
export function table(rows) {
    const widths = rows[0].map((_, at) => Math.max(...rows.map((row) => String(row[at]).length)));
    return rows.map((row) => row.map((cell, at) => (at === 0 ? String(cell).padEnd(widths[at]) : String(cell).padStart(widths[at]))).join('  ').trimEnd());
}
