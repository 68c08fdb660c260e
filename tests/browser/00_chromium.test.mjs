// The ground the page's tests stand on: Chromium runs our scripts, and axe-core finds what is wrong.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";

export async function chromium_draws_a_chart_with_the_pinned_uplot({ page, root }) {
    await page.setContent("<!doctype html><title>chart</title><div id=chart></div>");
    await page.addScriptTag({
        content: readFileSync(join(root, "node_modules/uplot/dist/uPlot.iife.min.js"), "utf8"),
    });

    await page.evaluate(() => {
        const options = { width: 300, height: 150, series: [{}, { stroke: "black" }] };
        new uPlot(options, [[1, 2, 3], [4, 5, null]], document.getElementById("chart"));
    });

    assert.equal(await page.locator("#chart canvas").count(), 1);
}

export async function axe_names_an_image_without_a_text({ page, axe }) {
    await page.setContent(
        "<!doctype html><html lang=en><title>t</title><main><h1>t</h1><img src='data:,'></main></html>",
    );

    const findings = await axe();

    assert.equal(findings.length, 1);
    assert.match(findings[0], /^image-alt: /);
}
