// Traffic that follows an experiment: each unit is served by the version that its bucket says. The
// bucket is contract §6 written down once more: the top 53 bits of XXH64, seed 0.
import { random } from "./daemon.mjs";

const MASK = (1n << 64n) - 1n;
const [P1, P2, P3, P4, P5] = [0x9E3779B185EBCA87n, 0xC2B2AE3D27D4EB4Fn, 0x165667B19E3779F9n, 0x85EBCA77C2B2AE63n, 0x27D4EB2F165667C5n];
const rotate = (x, n) => ((x << n) | (x >> (64n - n))) & MASK;
const round = (lane, value) => (rotate((lane + value * P2) & MASK, 31n) * P1) & MASK;

export function xxh64(bytes) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length), n = bytes.length;
    let at = 0, h;
    if (n >= 32) {
        const lanes = [(P1 + P2) & MASK, P2, 0n, (MASK + 1n - P1) & MASK];
        for (; at + 32 <= n; at += 32) for (let i = 0; i < 4; i++) lanes[i] = round(lanes[i], view.getBigUint64(at + 8 * i, true));
        h = (rotate(lanes[0], 1n) + rotate(lanes[1], 7n) + rotate(lanes[2], 12n) + rotate(lanes[3], 18n)) & MASK;
        for (const lane of lanes) h = ((h ^ round(0n, lane)) * P1 + P4) & MASK;
    } else {
        h = P5;
    }
    h = (h + BigInt(n)) & MASK;
    for (; at + 8 <= n; at += 8) h = (rotate(h ^ round(0n, view.getBigUint64(at, true)), 27n) * P1 + P4) & MASK;
    if (at + 4 <= n) { h = (rotate(h ^ ((BigInt(view.getUint32(at, true)) * P1) & MASK), 23n) * P2 + P3) & MASK; at += 4; }
    for (; at < n; at++) h = (rotate(h ^ ((BigInt(bytes[at]) * P5) & MASK), 11n) * P1) & MASK;
    for (const [shift, factor] of [[33n, P2], [29n, P3]]) h = ((h ^ (h >> shift)) * factor) & MASK;
    return h ^ (h >> 32n);
}

const encoder = new TextEncoder();
export const bucket = (salt, unit) => Number(xxh64(encoder.encode(`${salt}\x1f${unit}`)) >> 11n) / 2 ** 53;

export class Traffic {
    // versions: {v3: {error_rate, latency_ms, skill}, …}
    constructor(experiment, start, versions, { per_second = 50, seed = 1, labels = true } = {}) {
        Object.assign(this, { experiment, now: start, versions, per_second, labels, random: random(seed), n: 0 });
    }

    // The next `n` seconds at a weight: predictions and, at once, their labels.
    seconds(n, weight) {
        const { experiment: e } = this, made = [];
        for (let i = 0; i < n * this.per_second; i++) {
            const unit = `u${this.n}`, version = bucket(e.salt ?? e.name, unit) < weight / 100 ? e.treatment : e.control, shape = this.versions[version];
            const ts = this.now + Math.floor(((this.n % this.per_second) * 1000) / this.per_second), id = `${e.name}-${this.n}`;
            const failed = this.random() < shape.error_rate, positive = this.random() < 0.3 ? 1 : 0;
            const score = 1 / (1 + Math.exp(-(this.random.normal() + (positive ? shape.skill : -shape.skill))));
            made.push({ type: "prediction", id, ts, model: e.model, version, unit, latency_ms: shape.latency_ms * Math.exp(0.4 * this.random.normal()), features: { amount: this.random() }, ...(failed ? { error: "boom" } : { score }) });
            if (this.labels && !failed) made.push({ type: "label", id, ts, label: positive });
            this.n += 1;
            if (this.n % this.per_second === 0) this.now += 1000;
        }
        return made;
    }

    // Sends traffic at the weight that holds until `until(experiment)` is true.
    async drive(daemon, until, { seconds = 20, most = 100 } = {}) {
        for (let i = 0; i < most; i++) {
            const now = await daemon.get(`/experiments/${this.experiment.name}`);
            if (until(now)) return now;
            await daemon.post(this.seconds(seconds, now.weight));
        }
        throw new Error(`the experiment did not come to that in ${seconds * most} s of traffic`);
    }
}
