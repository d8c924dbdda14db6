// Runs a battery of messages through the reference loader and prints how long
// they took. Standard input is one JSON object:
//   { wasm, format, env, first, messages, keepMemory, warmUpMS }
// first boots the process, then the messages run. With keepMemory the
// loader works on its live buffer; without, it copies the whole memory in and
// out for every message, which is its default.
import fs from 'node:fs'
import { createRequire } from 'node:module'

const AoLoader = createRequire(import.meta.url)('@permaweb/ao-loader')
const job = JSON.parse(fs.readFileSync(0, 'utf8'))

const opened = process.hrtime.bigint()
const handle = await AoLoader(fs.readFileSync(job.wasm), {
  format: job.format,
  computeLimit: 9e15,
  memoryLimit: '17179869184',
  extensions: [],
  UNSAFE_MEMORY: job.keepMemory
})

let memory = null
const run = async (message) => {
  const result = await handle(job.keepMemory ? null : memory, message, job.env)
  memory = result.Memory
  return result
}

await run(job.first)
if (job.warmUpMS > 0) {
  await run(job.messages[0])
  const end = process.hrtime.bigint() + BigInt(job.warmUpMS) * 1_000_000n
  while (process.hrtime.bigint() < end) await run(job.messages.at(-1))
}
let last
const milliseconds = []
const started = process.hrtime.bigint()
for (const message of job.messages) {
  const begun = process.hrtime.bigint()
  last = await run(message)
  milliseconds.push(Number(process.hrtime.bigint() - begun) / 1e6)
}
const seconds = Number(process.hrtime.bigint() - started) / 1e9
const startSeconds = Number(started - opened) / 1e9
const { Memory, ...result } = last
console.log(JSON.stringify({ startSeconds, seconds, count: job.messages.length, milliseconds, result }))
