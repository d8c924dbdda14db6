// The runner: named tests one after the other, each with a deadline, and the
// counts at the end.
import { appendFileSync } from 'node:fs'

const TEST_TIMEOUT_MS = Number(process.env.E2E_TIMEOUT_MS ?? 120_000)

export class Suite {
  passed = 0
  failed = 0
  skipped = 0

  constructor (only) {
    this.only = only
  }

  async test (name, run) {
    if (this.only && !name.includes(this.only)) return
    const started = Date.now()
    let timer
    const deadline = new Promise((resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`no end after ${TEST_TIMEOUT_MS} ms`)), TEST_TIMEOUT_MS)
    })
    try {
      await Promise.race([run(), deadline])
      this.passed++
      console.log(`ok    ${name} (${Date.now() - started} ms)`)
    } catch (err) {
      this.fail(`${name} (${Date.now() - started} ms)`, err)
    } finally {
      clearTimeout(timer)
    }
  }

  fail (name, err) {
    this.failed++
    console.log(`FAIL  ${name}\n${indent(err.stack ?? String(err))}`)
  }

  skip (name, reason) {
    this.skipped++
    console.log(`SKIP  ${name}: ${reason}`)
  }

  // finish prints the sum, leaves it for `make test`, and gives the exit code.
  finish () {
    console.log(`e2e: ${this.passed} passed, ${this.failed} failed` +
      (this.skipped ? `, ${this.skipped} skipped` : ''))
    if (process.env.TESTSUM_COUNTS) {
      appendFileSync(process.env.TESTSUM_COUNTS, `${this.passed} ${this.failed} ${this.skipped} e2e\n`)
    }
    return this.failed || !this.passed ? 1 : 0
  }
}

// until polls a condition, because what it waits for says nothing when done.
// It gives the first truthy value.
export async function until (what, condition, timeoutMS = 60_000) {
  const end = Date.now() + timeoutMS
  let last
  for (;;) {
    try {
      last = await condition()
      if (last) return last
    } catch (err) {
      last = err.message
    }
    if (Date.now() > end) throw new Error(`${what}: not so after ${timeoutMS} ms (last: ${last})`)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

function indent (text) {
  return text.split('\n').map(line => '      ' + line).join('\n')
}
