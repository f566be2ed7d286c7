// A client for Node that shares a fleet with Django, by docs/reference/envelope.md alone.
//
//     NODE_PATH=… node other_language.js < {"nodes": […], "head": "shop:1:", "write": {key: value}, "read": [key]}
//
// It stores what is to be written, and prints what it read: {key: value}, without those that are not there.
const { createHash } = require("node:crypto");
const { readFileSync } = require("node:fs");
const memjs = require("memjs");

const TEXT = 16, INTEGER = 2, JSON_FLAGS = 256;

const md5 = (text) => createHash("md5").update(text).digest();

/** The place in `names` of the node that owns a made key, by the ring of these names, each of weight 1. */
function ring(names) {
  const points = [];
  names.forEach((name, index) => {
    for (let label = 0; label < 40; label++) {
      const digest = md5(`${name}-${label}`);
      for (let part = 0; part < 4; part++) points.push([digest.readUInt32LE(4 * part), index]);
    }
  });
  points.sort(([a, i], [b, j]) => a - b || i - j);
  return (madeKey) => {
    const point = md5(madeKey).readUInt32LE(0);
    return (points.find(([at]) => at >= point) ?? points[0])[1];
  };
}

/** Text and whole numbers as they are, everything else as JSON. */
const serializer = {
  serialize(opcode, value, extras) {
    const simple = typeof value === "string" ? TEXT : Number.isSafeInteger(value) && value >= 0 ? INTEGER : JSON_FLAGS;
    extras.writeUInt32BE(simple, 0);
    return { value: Buffer.from(simple === JSON_FLAGS ? JSON.stringify(value) : String(value)), extras };
  },
  deserialize(opcode, value, extras) {
    if (value === null || !extras.length) return { value, extras };
    const flags = extras.readUInt32BE(0), text = value.toString("utf8");
    if (flags === TEXT) return { value: text, extras };
    if (flags === INTEGER) return { value: Number(BigInt.asIntN(64, BigInt(text.trim()))), extras };
    if (flags === JSON_FLAGS) return { value: JSON.parse(text), extras };
    throw new Error(`flags ${flags} are none of those that are shared`);
  },
};

async function main({ nodes, head, write, read }) {
  const client = memjs.Client.create(nodes.join(","), { serializer });
  client.getServer = ring(nodes.map((node) => node.replace(/:11211$/, "")));
  for (const [key, value] of Object.entries(write)) await client.set(head + key, value, { expires: 300 });
  const found = {};
  for (const key of read) {
    const { value, flags } = await client.get(head + key);
    if (flags !== null && value !== null) found[key] = value;
  }
  client.close();
  console.log(JSON.stringify(found));
}

main(JSON.parse(readFileSync(0, "utf8")));
