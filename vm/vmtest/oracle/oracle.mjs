// Runs a module in ao's reference loader for tests to compare with.
//
// The first line on stdin is {module, format, gasLimit, unsafe}. Each line after
// it is {message, env}, two JSON texts, and is answered by one line on stdout:
// {text, thrown, gas, us}: the guest's own text, the error the loader
// threw, the gas used, and the microseconds it took. A line {save} writes the
// memory, which a checkpoint would hold, to a file.
import fs from 'node:fs'
import readline from 'node:readline'
import AoLoader from '@permaweb/ao-loader'

const parse = JSON.parse
let guestText
// The loader parses the guest's text; seeing it first allows a comparison of
// bytes.
JSON.parse = (text, ...rest) => { guestText = text; return parse(text, ...rest) }

const say = (value) => fs.writeSync(1, JSON.stringify(value) + '\n')
// What a module prints must not mix with the answers.
console.log = console.error = () => {}

let handle, memory = null, unsafe = false
for await (const line of readline.createInterface({ input: process.stdin })) {
  const input = parse(line)
  if (!handle) {
    unsafe = input.unsafe
    handle = await AoLoader(fs.readFileSync(input.module), {
      format: input.format, computeLimit: input.gasLimit, memoryLimit: '17179869184', extensions: [], UNSAFE_MEMORY: unsafe,
    })
    say({})
    continue
  }
  if (input.save) {
    fs.writeFileSync(input.save, memory)
    say({})
    continue
  }
  const message = parse(input.message), env = parse(input.env)
  guestText = undefined
  const began = process.hrtime.bigint()
  let thrown, gas
  try {
    const result = await handle(unsafe ? null : memory, message, env)
    gas = result.GasUsed
    if (!unsafe && !result.Error) memory = result.Memory
  } catch (error) {
    thrown = String(error?.message ?? error)
  }
  say({ text: guestText, thrown, gas, us: Number(process.hrtime.bigint() - began) / 1e3 })
}
