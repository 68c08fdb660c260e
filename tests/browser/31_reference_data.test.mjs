// The pages over real car loans, whose drift other libraries have computed (see 77_drift.py): what
// the page shows is what they say.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { HOUR, shared, shot, start, strict } from "./daemon.mjs";

let daemon, expected;

export async function setup(context) {
    const file = (name) => shared(context, "monitoring", "car_loan", name);
    expected = JSON.parse(readFileSync(file("expected.json")));
    const model = { name: "car_loan", task: "binary", label_horizon: "7d", segments: ["size_of_downpayment"], reference: { file: file("reference.jsonl.gz") } };
    daemon = await start(context, { models: [model] }, { replay: [file("events.jsonl.gz")] });
    return daemon.address;
}

const last_range = () => {
    const to = expected.windows.at(-1).end;
    return `from=${to - 24 * HOUR}&to=${to}`;
};

export async function statistics_of_a_window_are_those_of_scipy_and_nannyml({ page, open, axe }) {
    const check = strict(page), window = expected.windows.at(-1), peers = window.drift.car_value;

    await open(`/#/models/car_loan/drift?${last_range()}&feature=car_value&at=${window.start}`);
    await page.locator(".detail-grid").waitFor();

    const value = async (name) => Number((await page.locator("section[aria-label=Statistics] tr", { has: page.locator("code", { hasText: new RegExp(`^${name}$`) }) }).locator("td.number").first().textContent()).replaceAll(",", ""));
    const near = (got, wanted) => assert.ok(Math.abs(got - wanted) <= Math.abs(wanted) * 6e-4, `${got}, expected ${wanted}`);
    near(await value("psi"), peers.psi_deciles);
    near(await value("ks"), peers.scipy.ks);
    near(await value("js_distance"), peers.nannyml.jensen_shannon);
    near(await value("hellinger"), peers.nannyml.hellinger);
    near(await value("wasserstein_norm"), peers.scipy.wasserstein_norm);
    const outside = await page.locator("section[aria-label=Rates] tr", { hasText: "outside the range" }).locator("td").nth(1).textContent();
    assert.equal(outside, `${peers.outside_reference_range * 100} %`);
    await shot(page, "drift-car-loan");
    assert.deepEqual(await axe(), []);
    check();
}

export async function all_features_together_are_a_row_and_told_in_words({ page, open, axe }) {
    const check = strict(page), window = expected.windows.at(-1);
    const answer = await daemon.get(`/models/car_loan/drift?from=${window.start}&to=${window.end}&window=1h`);
    const [point] = answer.multivariate.filter((p) => p.start === window.start);
    assert.ok(Math.abs(point.reconstruction_error - window.reconstruction_error.value) < 1e-9, JSON.stringify(point));

    await open(`/#/models/car_loan/drift?${last_range()}&feature=${encodeURIComponent("all features together")}&at=${window.start}`);
    const part = page.locator("section[aria-label='All features together']");
    await part.waitFor();

    assert.equal(await part.locator(".badge").textContent(), point.drifted || point.domain_classifier.drifted ? "drifted" : "as the reference");
    const told = (await part.locator("p").last().textContent()).match(/reconstruction error ([\d.]+), threshold ([\d.]+)/).slice(1).map(Number);
    assert.ok(Math.abs(told[0] - point.reconstruction_error) < 1e-3 && Math.abs(told[1] - point.threshold) < 1e-3, told);
    const domain = (await part.locator("p").last().textContent()).match(/domain classifier: area ([\d.]+), threshold ([\d.]+), drifted/).slice(1).map(Number);
    assert.ok(Math.abs(domain[0] - point.domain_classifier.auc) < 1e-3 && Math.abs(domain[1] - point.domain_classifier.threshold) < 1e-3, domain);
    await page.locator(".heat").getByText("all features together").first().waitFor();
    await shot(page, "drift-all-features");
    assert.deepEqual(await axe(), []);
    check();
}

// The last window drifted by far; of a segment that cannot be said.
export async function all_features_together_of_a_segment_are_not_judged({ page, open, axe }) {
    const check = strict(page), window = expected.windows.at(-1);
    const answer = await daemon.get(`/models/car_loan/drift?from=${window.start}&to=${window.end}&window=1h&segment=size_of_downpayment:*`);
    const point = answer.multivariate.find((p) => p.n > 0);

    await open(`/#/models/car_loan/drift?${last_range()}&segment=${encodeURIComponent(point.segment)}&feature=${encodeURIComponent("all features together")}&at=${window.start}`);
    const part = page.locator("section[aria-label='All features together']");
    await part.waitFor();

    assert.equal(await part.locator(".badge").textContent(), "not judged");
    const said = await part.locator("p").last().textContent();
    assert.match(said, /reconstruction error [\d.]+; domain classifier: area [\d.]+; not judged: all features together are judged for the whole model only/);
    const cells = page.locator(".heat tr", { hasText: "all features together" }).locator("[role=gridcell]");
    assert.match(await cells.last().getAttribute("aria-label"), /not judged/);
    assert.deepEqual(await axe(), []);
    check();
}

export async function slices_say_where_a_change_comes_from({ page, open, axe }) {
    const check = strict(page), window = expected.windows.at(-4);
    await open(`/#/models/car_loan/drift?${last_range()}&feature=car_value&at=${window.start}`);
    const part = page.locator("section[aria-label=Contributions]");
    await part.waitFor();

    const first = await part.locator("tbody tr").first().textContent();
    const x = await daemon.get(`/models/car_loan/explain?from=${window.start}&to=${window.end}`);
    assert.ok(first.startsWith(x.slices[0].segment.replace(":", " = ")), `${first}: ${x.slices[0].segment}`);
    assert.equal(await part.locator(".cause").textContent(), x.cause);
    assert.deepEqual(await axe(), []);
    check();
}

export async function the_other_pages_show_it_too({ page, open, axe }) {
    const check = strict(page);
    for (const [path, wanted] of [["/#/models/car_loan", ".chart canvas"], ["/#/models/car_loan/compare", ".curve"]]) {
        await open(`${path}?${last_range()}`);
        await page.locator(wanted).first().waitFor();
        assert.deepEqual(await axe(), []);
    }
    await page.locator(".tabs a", { hasText: "Drift" }).click();
    await page.locator(".message h2, .heat").first().waitFor();
    check();
}
