// Nodemailer's pool. Reads the same orders as worker.py, one a line, and answers with one line of JSON each.
import { createRequire } from 'node:module';
import fs from 'node:fs';
import readline from 'node:readline';

const spec = JSON.parse(process.argv[2]);
const nodemailer = createRequire(spec.modules + '/')('nodemailer');
const raw = fs.readFileSync(spec.message);
const transport = nodemailer.createTransport({ host: '127.0.0.1', port: spec.port, ignoreTLS: true, pool: true,
  maxConnections: 1, maxMessages: Infinity });
const mail = () => ({ envelope: { from: spec.sender, to: spec.recipients },
  raw: spec.path ? { path: spec.message } : raw });
const status = name => +fs.readFileSync('/proc/self/status', 'utf8').match(new RegExp(name + ':\\s+(\\d+)'))[1];

console.log('{}');
for await (const line of readline.createInterface({ input: process.stdin })) {
  const count = +line;
  if (fs.existsSync('/proc/self/clear_refs')) fs.writeFileSync('/proc/self/clear_refs', '5');
  const before = status('VmRSS');
  const began = process.hrtime.bigint(), cpu = process.cpuUsage();
  for (let i = 0; i < count; i++) await transport.sendMail(mail());
  const used = process.cpuUsage(cpu);
  console.log(JSON.stringify({ wall: Number(process.hrtime.bigint() - began) / 1e9, cpu: (used.user + used.system) / 1e6,
    memory: status('VmHWM') - before, waits: [] }));
}
transport.close();
