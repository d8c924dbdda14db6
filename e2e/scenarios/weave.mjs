// A node that settles at another, loses its disk, and comes back from there.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, renameSync, rmSync, mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Node, freePortBase } from '../lib/node.mjs'
import { World } from '../lib/world.mjs'
import { Economy } from './token.mjs'

export async function weave (suite, world) {
  await suite.test('weave: a node whose disk is wiped comes back, and clients go on', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'wallaby-weave-'))
    const data = join(dir, 'data')
    const node = new Node({
      binary: world.node.binary, dataDir: data, portBase: await freePortBase(), modules: world.node.modules,
      args: ['--settle-to', world.node.gateway]
    })
    const stop = () => node.child?.kill('SIGKILL')
    process.once('exit', stop)
    try {
      await node.start()
      const own = new World({ node, wallet: world.wallet })
      const economy = await Economy.open(own)
      const transfers = 10
      await Promise.all(Array.from({ length: transfers }, () => own.send(economy.token, economy.transferTags(5), ' ')))
      await own.untilEqual('every notice has arrived', () => economy.state(), economy.settled(transfers, 5))
      const logs = await Promise.all(economy.processes.map(id => own.log(id)))
      const places = logs.reduce((sum, log) => sum + log.length, 0)
      await own.untilEqual('all is uploaded', () => {
        const { committed, uploaded } = node.status().settlement
        return [committed, uploaded]
      }, [places, places])
      const state = await economy.state()

      await node.kill()
      renameSync(join(data, 'wallets'), join(dir, 'wallets'))
      rmSync(data, { recursive: true })
      mkdirSync(data)
      renameSync(join(dir, 'wallets'), join(data, 'wallets'))
      await run(world.node.binary, 'restore', '--from', 'arweave', '--gateway', world.node.gateway, '--data-dir', data)

      await node.start()
      assert.deepEqual(await Promise.all(economy.processes.map(id => own.log(id))), logs)
      await own.untilEqual('every balance is what it was', () => economy.state(), state)
      await own.send(economy.token, economy.transferTags(5), ' ')
      await own.untilEqual('a transfer goes on from there', () => economy.state(), economy.settled(transfers + 1, 5))
    } finally {
      await node.kill()
      process.off('exit', stop)
      rmSync(dir, { recursive: true, force: true })
    }
  })
}

// run runs a command of the binary, which must succeed.
async function run (binary, ...args) {
  const child = spawn(binary, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  child.stdout.on('data', chunk => { said += chunk })
  child.stderr.on('data', chunk => { said += chunk })
  const code = await new Promise(resolve => child.on('close', resolve))
  assert.equal(code, 0, `wallaby ${args.join(' ')}: ${said}`)
}
