// Twenty-six hours of a world with a release in it, as events: a rhythm over the day, an outage, a
// newer version that slows down and is worse in one country, labels that come up to two hours late.
import { HOSTILE, HOUR, MINUTE, random } from "./daemon.mjs";

const HOURS = 26, HORIZON = 2 * HOUR;
const countries = ["de", "fr", "us"];

export class World {
    constructor(seed = 42) {
        this.random = random(seed);
        this.end = Math.floor(Date.now() / MINUTE) * MINUTE;
        this.begin = this.end - HOURS * HOUR;
        this.n = 0;
    }

    event({ model, version, skill, latency, failing = 0 }, at) {
        const next = this.random, country = countries[Math.floor(next() * next() * 3)], positive = next() < 0.3;
        const able = version === "v4" && country === "fr" ? skill * 0.45 : skill;
        const score = 1 / (1 + Math.exp(-(1.5 * next.normal() + (positive ? able : -able))));
        const id = `w${this.n++}`, ts = at + Math.floor(next() * MINUTE);
        const prediction = { type: "prediction", id, ts, model, version, segment: { country }, latency_ms: latency * Math.exp(0.4 * next.normal()), ...(next() < failing ? { error: "down" } : { score }) };
        const label = { type: "label", id, ts: ts + Math.floor(next() * HORIZON), label: positive ? 1 : 0 };
        return prediction.error || next() > 0.96 ? [prediction] : [prediction, label];
    }

    // What happens in the minute that begins at `at`, with the labels that it will get.
    minute(at) {
        const into = (at - this.begin) / (this.end - this.begin), released = into > 0.6, outage = into > 0.33 && into < 0.36;
        const n = 12 + Math.floor(6 * Math.sin(((at % (24 * HOUR)) / (24 * HOUR)) * 2 * Math.PI - 2)), made = [];
        const some = (count, shape) => { for (let i = 0; i < count; i++) made.push(...this.event(shape, at)); };
        if (!outage) some(released ? n / 2 : n, { model: "credit", version: "v3", skill: 1.5, latency: 38, failing: 0.002 });
        if (released) some(n / 2, { model: "credit", version: "v4", skill: 1.6 - 0.5 * (into - 0.6), latency: 40 + 60 * (into - 0.6), failing: 0.004 });
        some(3, { model: "churn", version: "2024-05", skill: 1.1, latency: 12 });
        if (into > 0.9) some(1, { model: HOSTILE, version: HOSTILE, skill: 1.1, latency: 12 });
        return made;
    }

    // All of it in order of time, as far as it has happened.
    history() {
        const made = [];
        for (let at = this.begin; at < this.end; at += MINUTE) made.push(...this.minute(at));
        return made.filter((event) => event.ts < this.end).sort((a, b) => a.ts - b.ts);
    }

    // One more minute of predictions.
    next() {
        const made = this.minute(this.end).filter((event) => event.type === "prediction");
        this.end += MINUTE;
        return made;
    }

    // A labelled reference: how good scores are that have this skill.
    reference(n = 2000) {
        const made = [];
        for (let i = 0; i < n; i++) made.push(...this.event({ model: "credit", version: "v3", skill: 1.5, latency: 38 }, this.begin));
        return made;
    }
}
