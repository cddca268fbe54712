// Writes src/schema.json: the messages of the protocol as data, so that neither .proto files nor a
// parser for them are needed at run time, and bundlers find everything.
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';

const here = dirname(fileURLToPath(import.meta.url));
const protos = join(here, '../../../proto');
const root = new protobuf.Root();
root.resolvePath = (_origin, target) => join(protos, target);
root.loadSync('breaker/v1/service.proto');
writeFileSync(join(here, '../src/schema.json'), `${JSON.stringify(root.toJSON())}\n`);
