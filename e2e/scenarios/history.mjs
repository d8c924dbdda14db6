// Histories of real processes: taken out of the node, checked and run again by
// somebody who trusts neither scheduler nor compute unit.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { otherWallets } from '../lib/wallets.mjs'
import { damages } from './damages.mjs'
import { Economy } from './token.mjs'

const VERIFICATION_FAILED = 3

export async function history (suite, world) {
  const dir = mkdtempSync(join(tmpdir(), 'wallaby-history-'))
  process.once('exit', () => rmSync(dir, { recursive: true, force: true }))
  const file = name => join(dir, name)

  // wallaby runs a command, which must end with a code, and gives what it printed.
  async function wallaby (code, ...args) {
    const child = spawn(world.node.binary, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, XDG_CACHE_HOME: dir } })
    let [stdout, stderr] = ['', '']
    child.stdout.on('data', chunk => { stdout += chunk })
    child.stderr.on('data', chunk => { stderr += chunk })
    const ended = await new Promise(resolve => child.on('close', resolve))
    assert.equal(ended, code, `wallaby ${args.join(' ')}: ${stdout}${stderr}`)
    return stdout
  }
  const imported = (id, from, out, ...more) => wallaby(0, 'import', '--from', from, '--out', file(out), ...more, '--', id)
  const verified = async (out, code = 0) => JSON.parse(await wallaby(code, 'verify', file(out), '-o', 'json'))

  let economy
  await suite.test('history: three processes that push are verified, and replayed to the same results', async () => {
    economy = await Economy.open(world)
    const transfers = 10
    await Promise.all(Array.from({ length: transfers }, () => world.send(economy.token, economy.transferTags(5), ' ')))
    await world.untilEqual('every notice has arrived', () => economy.state(), economy.settled(transfers, 5))
    for (const [i, id] of economy.processes.entries()) {
      await imported(id, world.node.gateway, `${i}.aolog`, '--module')
      const report = await verified(`${i}.aolog`)
      assert.equal(report.entries, (await world.log(id)).length)
      assert.deepEqual([report.wrong, report.unproven, report.schedulers], [0, 0, [world.scheduler]])
      const said = await wallaby(0, 'replay', file(`${i}.aolog`), '--against', world.node.gateway, '--results', file(`${i}.jsonl`))
      assert.match(said, new RegExp(`compared with ${report.entries} of ${report.entries} results`))
    }
  })

  await suite.test('history: the JSON of a scheduler becomes the same signed bytes, for every kind of wallet', async () => {
    const id = await world.spawn()
    for (const { signer } of otherWallets()) await world.send(id, { Action: 'Hello' }, 'wörld', { signer })
    const other = await world.spawn()
    const { message } = await world.send(other, { Action: 'Note' }, 'written once')
    await world.ao.result({ process: id, message: await world.ao.assign({ process: id, message }) })
    await imported(id, world.node.gateway, 'bytes.aolog')
    await imported(id, world.node.su, 'json.aolog', '--kind', 'su', '--gateway', world.node.gateway)
    const [bytes, json] = [await verified('bytes.aolog'), await verified('json.aolog')]
    assert.equal(json.source.kind, 'su')
    assert.deepEqual([json.entries, json.signatures, json.hashChain], [bytes.entries, bytes.signatures, bytes.hashChain])
  })

  await suite.test('history: a file goes on where it ended', async () => {
    await world.evaluate(economy.token, 'return "the last"')
    assert.match(await imported(economy.token, world.node.gateway, '0.aolog', '--module'), / 1 of them new/)
    await verified('0.aolog')
  })

  await suite.test('history: what was altered is named, and where', async () => {
    const good = readFileSync(file('0.aolog'))
    const altered = Buffer.from(good)
    altered[good.indexOf('return "the last"')] ^= 1
    writeFileSync(file('altered.aolog'), altered)
    const { findings } = await verified('altered.aolog', VERIFICATION_FAILED)
    const { head } = await verified('0.aolog')
    assert.deepEqual(findings.filter(f => f.severity === 'wrong').map(f => [f.nonce, f.what]), [[head, 'damaged']])

    // In every way that somebody may alter it, with checksums that fit.
    const ways = damages(good, readFileSync(file('1.aolog')))
    assert.ok(ways.length >= 30)
    const unnamed = []
    for (const [name, bytes, expected] of ways) {
      writeFileSync(file('damaged.aolog'), bytes)
      const wrong = (await verified('damaged.aolog', VERIFICATION_FAILED)).findings.filter(f => f.severity === 'wrong')
      const named = wrong.map(f => `${f.what} ${f.nonce}`)
      const first = expected.some(([what, nonce]) => named[0] === `${what} ${nonce}`)
      if (!first || !expected.every(([what, nonce]) => named.includes(`${what} ${nonce}`))) unnamed.push(`${name}: ${named.join(', ')}`)
    }
    assert.deepEqual(unnamed, [])
    await verified('0.aolog')
    await wallaby(VERIFICATION_FAILED, 'verify', file('0.aolog'), '--scheduler', 'A'.repeat(43))

    const lines = readFileSync(file('0.jsonl'), 'utf8').trimEnd().split('\n')
    const lied = JSON.parse(lines[5])
    lied.result.Output = 'a lie'
    lines[5] = JSON.stringify(lied)
    writeFileSync(file('lie.jsonl'), lines.join('\n'))
    assert.match(await wallaby(VERIFICATION_FAILED, 'replay', file('0.aolog'), '--against', file('lie.jsonl')), /nonce 5,/)
  })
}
