// The requests of the aos console 2.0.16 in legacy mode, one after the other as it makes
// them. That version is not on npm, so what it sends is sent here with plain fetch, and
// what it reads of the answers is all that is read.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from '../lib/suite.mjs'
import { arweaveWallet, signItem } from '../lib/wallets.mjs'
import { AOS, getJSON, printed } from '../lib/world.mjs'

// The console adds this authority to whatever it spawns, and has no setting for it.
const CONSOLE_AUTHORITY = 'fcoN_xJeisVsPXA-trzVAuIiqO3ydLQxM-L4XbrQKzY'
const CONSOLE_VERSION = '2.0.16'
const BLUEPRINT_BYTES = 100_000

const FIND_BY_NAME = `query ($owners: [String!]!, $names: [String!]!) {
  transactions(first: 10, owners: $owners, tags: [
    { name: "Data-Protocol", values: ["ao"] }, { name: "Type", values: ["Process"] },
    { name: "Name", values: $names }]) { edges { node { id tags { name value } } } } }`
const FIND_MODULE = `query ($ids: [ID!]!) { transactions(ids: $ids) { edges { node {
  owner { address } tags { name value } block { id height timestamp } } } } }`

export async function aosClient (suite, world) {
  const own = await ownModule(world)
  for (const [kind, module] of [['the official module', AOS], ['our own runtime', own]]) {
    await consoleOn(suite, world, { kind, module })
  }
  suite.skip('aos of npm in a terminal', 'its last version, 1.2.18, takes no setting for the messenger and ' +
    'the compute unit, spawns with a scheduler of its own, and sends code without the tag Action = Eval, which aos 2 modules ask for')
}

async function consoleOn (suite, world, { kind, module }) {
  const console = new Console(world, { name: `aos-${Date.now()}-${module.slice(0, 4)}`, module })

  await suite.test(`aos on ${kind}: a start makes a process and shows its prompt`, async () => {
    assert.deepEqual(await console.findByName(), [])
    console.process = await console.spawn([['Authority', world.authority]])
    const { Output } = await console.evaluate("require('.process')._version")
    assert.match(promptOf(Output), /> *$/)
    assert.match(printed({ Output }), /^2\./)
  })

  await suite.test(`aos on ${kind}: what is typed is evaluated, and state lasts`, async () => {
    await console.evaluate('Count = 41')
    const { Output } = await console.evaluate('Count = Count + 1 return Count')
    assert.equal(printed({ Output }), '42')
    assert.equal(printed(await console.dryRun('Count = 7 return Count')), '7')
    assert.equal(printed(await console.evaluate('return Count')), '42')
  })

  await suite.test(`aos on ${kind}: a blueprint of ${BLUEPRINT_BYTES} bytes is loaded`, async () => {
    const lines = 'Lines = (Lines or 0) + 1\n'
    const repeated = Math.ceil(BLUEPRINT_BYTES / lines.length)
    await console.evaluate(lines.repeat(repeated))
    assert.equal(printed(await console.evaluate('return Lines')), String(repeated))
  })

  await suite.test(`aos on ${kind}: the live feed shows what a stranger caused, once`, async () => {
    await console.evaluate('Handlers.add("hello", { Action = "Hello" }, function(m) print("heard " .. m.Data) end)')
    const cursor = await console.newestCursor()
    await console.send([['Action', 'Hello']], 'a stranger', arweaveWallet())
    const fresh = await until('the feed has something to print', async () => {
      const edges = await console.since(cursor)
      return edges.some(edge => edge.node.Output?.print === true) && edges
    })
    const shown = fresh.filter(edge => edge.node.Output?.print === true)
    assert.equal(shown.length, 1)
    assert.match(printed(shown[0].node), /heard a stranger/)
    assert.ok(ordinateOf(shown[0].cursor) > ordinateOf(cursor))
    assert.deepEqual(await console.since(shown[0].cursor), [])
  })

  await suite.test(`aos on ${kind}: a second start finds the process by its name`, async () => {
    const [found, ...more] = await console.findByName()
    assert.deepEqual(more, [])
    assert.equal(found.id, console.process)
    assert.equal(valueOf(found.tags, 'App-Name'), 'aos')
    const again = new Console(world, { name: console.name, module, process: found.id })
    assert.equal(printed(await again.evaluate('return Count')), '42')
  })

  await suite.test(`aos on ${kind}: pushes are trusted only with the node's authority`, async () => {
    const trapped = new Console(world, { name: `${console.name}-trapped`, module })
    trapped.process = await trapped.spawn([])
    for (const to of [console, trapped]) {
      await to.evaluate('Got = "nothing"; Handlers.add("note", { Action = "Note" }, function(m) Got = m.Data end)')
      await console.evaluate(`ao.send({ Target = "${to.process}", Action = "Note", Data = "pushed" })`)
      await until('the push is evaluated', async () => (await pushesTo(world, to.process)).length > 0)
    }
    assert.equal(printed(await console.evaluate('return Got')), 'pushed')
    assert.equal(printed(await trapped.evaluate('return Got')), 'nothing')
    const [push] = await pushesTo(world, trapped.process)
    assert.match(JSON.stringify(await trapped.result(push.message.id)), /not trusted/i)
  })
}

// Console is one start of aos with a name, for one process.
class Console {
  constructor (world, { name, module, process }) {
    Object.assign(this, { node: world.node, wallet: world.wallet, scheduler: world.scheduler, name, module, process })
  }

  async findByName () {
    const { transactions } = await this.#graphql(FIND_BY_NAME, { owners: [this.wallet.address, ''], names: [this.name] })
    return transactions.edges.map(edge => edge.node)
  }

  // spawn asks for the module first, as the client does, which refuses what is none.
  async spawn (extra) {
    const { transactions } = await this.#graphql(FIND_MODULE, { ids: [this.module] })
    const { tags } = transactions.edges[0].node
    assert.equal(valueOf(tags, 'Data-Protocol'), 'ao')
    assert.equal(valueOf(tags, 'Type'), 'Module')
    for (const name of ['Module-Format', 'Input-Encoding', 'Output-Encoding']) assert.ok(valueOf(tags, name), name)
    return this.#post(' ', [
      ['Content-Type', 'text/plain'], ['App-Name', 'aos'], ['Name', this.name], ['Authority', CONSOLE_AUTHORITY], ...extra,
      ['aos-Version', CONSOLE_VERSION], ...protocol('Process'), ['Module', this.module],
      ['Scheduler', this.scheduler], ['Timestamp', String(Date.now())]
    ])
  }

  send (tags, data, wallet = this.wallet) {
    return this.#post(data, [...tags, ...protocol('Message')], { target: this.process, wallet })
  }

  // evaluate polls for the result until it has a prompt, which is how the client knows
  // that it is one.
  async evaluate (code) {
    const message = await this.send([['Action', 'Eval']], code)
    return until(`the result of ${code.slice(0, 80)}`, async () => {
      const result = await this.result(message)
      assert.equal(result.Error, undefined)
      return promptOf(result.Output) && result
    })
  }

  result (message) {
    return getJSON(`${this.node.cu}/result/${message}?process-id=${this.process}`)
  }

  dryRun (code) {
    const tags = [['Action', 'Eval'], ['Data-Protocol', 'ao'], ['Type', 'Message'], ['Variant', 'ao.TN.1']]
    return getJSON(`${this.node.cu}/dry-run?process-id=${this.process}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        Id: '1234', Target: this.process, Owner: this.wallet.address, Anchor: '0', Data: code, Tags: pairs(tags)
      })
    })
  }

  async newestCursor () {
    const { edges } = await getJSON(`${this.node.cu}/results/${this.process}?sort=DESC&limit=5`)
    return edges.toSorted((a, b) => ordinateOf(b.cursor) - ordinateOf(a.cursor))[0].cursor
  }

  async since (cursor) {
    const from = encodeURIComponent(cursor)
    return (await getJSON(`${this.node.cu}/results/${this.process}?from=${from}&sort=ASC&limit=1000`)).edges
  }

  async #graphql (query, variables) {
    const { data, errors } = await getJSON(this.node.gateway + '/graphql', {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query, variables })
    })
    assert.equal(errors, undefined, JSON.stringify(errors))
    return data
  }

  async #post (data, tags, { target, wallet = this.wallet } = {}) {
    const item = await signItem(wallet.key, data, { target, tags: pairs(tags) })
    const response = await fetch(this.node.mu, {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream', accept: 'application/json' },
      body: item.getRaw()
    })
    const text = await response.text()
    assert.ok(response.ok, `${response.status} ${text}`)
    JSON.parse(text)
    return item.id
  }
}

// ownModule publishes Wallaby's own Lua runtime with a process that only begins.
async function ownModule ({ node }) {
  const directory = mkdtempSync(join(tmpdir(), 'wallaby-e2e-lua-'))
  try {
    writeFileSync(join(directory, 'process.lua'), 'Begun = true\n')
    const wallaby = (...args) => execFileSync(node.binary, [...args, '-o', 'json', '--url', node.gateway,
      '--wallet', join(directory, 'wallet.json')], { cwd: directory, encoding: 'utf8' })
    wallaby('build')
    return JSON.parse(wallaby('publish', 'process.wasm')).id
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function pushesTo (world, process) {
  return (await world.log(process)).filter(({ message }) => valueOf(message.tags, 'Action') === 'Note')
}

function protocol (type) {
  return [['SDK', 'aoconnect'], ['Data-Protocol', 'ao'], ['Variant', 'ao.TN.1'], ['Type', type]]
}

function pairs (tags) {
  return tags.map(([name, value]) => ({ name, value }))
}

function valueOf (tags, name) {
  return tags.find(tag => tag.name === name)?.value
}

function promptOf (output) {
  return output?.prompt ?? output?.data?.prompt
}

function ordinateOf (cursor) {
  return Number(JSON.parse(atob(cursor)).ordinate)
}
