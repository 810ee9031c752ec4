// Compare ajv's verdict on every line {"ok": ours, "value": document} with ours; exit 1 at the first difference.
const fs = require("fs");
const Ajv = require("ajv/dist/2020");
const ajv = new Ajv({ strict: true, allowUnionTypes: true, strictTypes: false });
require("ajv-formats")(ajv);
const [schema, lines] = process.argv.slice(2);
const validate = ajv.compile(JSON.parse(fs.readFileSync(schema)));
let count = 0;
let accepted = 0;
for (const line of fs.readFileSync(lines, "utf8").split("\n")) {
    if (!line) continue;
    const { ok, value } = JSON.parse(line);
    if (validate(value) !== ok) {
        console.error(`ajv says ${!ok}, our reader says ${ok}: ${line}`, validate.errors);
        process.exit(1);
    }
    count += 1;
    accepted += ok;
}
console.log(`${schema}: ajv and our reader agree on ${count} documents, ${accepted} of them valid`);
