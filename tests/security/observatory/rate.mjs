// Rates answers by the rules of the installed MDN HTTP Observatory: rate.mjs PACKAGE_FOLDER PORT, with a JSON list of {path, cookies} on
// standard input. Its own command rates start pages only and refuses a 404, so the same parts are put together here; what it says of the
// start page is added as `whole`. `cookies` are the Set-Cookie lines a signed-in browser was given: they are sent, and rated.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, port] = process.argv.slice(2);
const open = (path) => import(pathToFileURL(join(folder, "src", path)).href);
const { retrieve } = await open("retriever/retriever.js");
const { ALL_TESTS } = await open("constants.js");
const { getGradeForScore, getScoreModifier } = await open("grader/grader.js");
const { MINIMUM_SCORE_FOR_EXTRA_CREDIT } = await open("grader/charts.js");
const { scan } = await open("scanner/index.js");

async function rate({ path, cookies = [] }) {
  const headers = ["Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"];
  if (cookies.length) headers.push(`Cookie: ${cookies.map((line) => line.split(";")[0]).join("; ")}`);
  const found = await retrieve("localhost", { path, httpPort: port, httpsPort: port, headers });
  for (const line of cookies) found.session.jar.setCookieSync(line, `https://localhost:${port}/`);
  const results = ALL_TESTS.map((test) => test(found));
  const modifiers = results.map((result) => getScoreModifier(result.result));
  const add = (numbers) => numbers.reduce((sum, number) => sum + number, 100);
  const plain = add(modifiers.filter((number) => number < 0));
  const score = plain >= MINIMUM_SCORE_FOR_EXTRA_CREDIT ? add(modifiers) : plain;
  const parts = Object.fromEntries(results.map((result, at) => [result.constructor.name, `${result.result} ${modifiers[at]}`]));
  return { path, status: found.responses.auto?.status, grade: getGradeForScore(score).grade, score, parts };
}

const asked = JSON.parse(readFileSync(0, "utf8"));
const rated = [];
for (const page of asked) rated.push(await rate(page));
const whole = await scan(`localhost:${port}`);
console.log(JSON.stringify({ rated, whole: whole.scan }));
