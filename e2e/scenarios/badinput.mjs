// Bad input: each gets the right status and a cause, nothing of it enters a
// log, and the node keeps serving.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { hostile } from '../lib/badwasm.mjs'
import { signItem } from '../lib/wallets.mjs'
import { AOS } from '../lib/world.mjs'

const SAME_POSTS = 200
const BODY_BYTES_MAX = 10 << 20

export async function badInput (suite, world) {
  const { node, wallet } = world
  const target = await world.spawn()
  await world.evaluate(target, 'Touched = "no"')
  const before = await world.log(target)
  const nobody = randomBytes(32).toString('base64url')

  const ao = [{ name: 'Data-Protocol', value: 'ao' }, { name: 'Variant', value: 'ao.TN.1' }]
  const item = async (tags, options = {}, data = 'Touched = "yes"') =>
    (await signItem(wallet.key, data, { target, tags, ...options })).getRaw()
  const good = await item([...ao, { name: 'Type', value: 'Message' }, { name: 'Action', value: 'Eval' }])
  const changed = (at, ...bytes) => {
    const copy = Buffer.from(good)
    copy.set(bytes, at < 0 ? copy.length + at : at)
    return copy
  }
  const process = tags => item([...ao, { name: 'Type', value: 'Process' }, ...tags], { target: undefined })

  const items = [
    ['a corrupt signature', changed(100, good[100] ^ 1), 400, /signature/i],
    ['changed data', changed(-1, good.at(-1) ^ 1), 400, /signature/i],
    ['a truncated item', good.subarray(0, 700), 400, /./],
    ['an item of one byte', good.subarray(0, 1), 400, /./],
    ['an empty body', Buffer.alloc(0), 400, /./],
    ['text instead of an item', Buffer.from('hello'), 400, /./],
    ['an unknown signature type', changed(0, 99, 0), 400, /type/i],
    ['signature type 6', changed(0, 6, 0), 400, /type|aptos/i],
    ['no Data-Protocol tag', await item([{ name: 'Type', value: 'Message' }]), 400, /Data-Protocol/],
    ['no Type tag', await item(ao), 400, /Type/],
    ['a Type that is neither', await item([...ao, { name: 'Type', value: 'Wish' }]), 400, /Type/],
    ['a process without Module', await process([{ name: 'Scheduler', value: world.scheduler }]), 400, /Module/],
    ['a process without Scheduler', await process([{ name: 'Module', value: AOS }]), 400, /Scheduler/],
    ['a message without a target',
      await item([...ao, { name: 'Type', value: 'Message' }], { target: undefined }), [400, 404], /target|process/i],
    ['a target that is no process',
      await item([...ao, { name: 'Type', value: 'Message' }], { target: nobody }), 404, /process/i],
    ['an item over the limit', Buffer.concat([good, Buffer.alloc(BODY_BYTES_MAX)]), 413, /large|limit|MiB|bytes/i]
  ]
  for (const [name, body, status, cause] of items) {
    for (const [unit, url] of [['MU', node.mu], ['SU', node.su]]) {
      await suite.test(`${unit}: ${name} is refused`, () =>
        refused(url + '/', { method: 'POST', headers: { 'content-type': 'application/octet-stream' }, body }, status, cause))
    }
  }

  const json = body => ({ method: 'POST', headers: { 'content-type': 'application/json' }, body })
  const requests = [
    ['a dry run that is no JSON', `${node.cu}/dry-run?process-id=${target}`, json('{'), 400, /JSON/i],
    ['a dry run of nobody', `${node.cu}/dry-run?process-id=${nobody}`, json('{"Owner":"x"}'), 404, /process/i],
    ['a dry run over the limit', `${node.cu}/dry-run?process-id=${target}`,
      json(JSON.stringify({ Owner: 'x', Data: 'x'.repeat(BODY_BYTES_MAX + 1) })), 413, /large|limit|MiB|bytes/i],
    ['a result of an unknown message', `${node.cu}/result/${nobody}?process-id=${target}`, {}, 404, /./],
    ['a result of an unknown process', `${node.cu}/result/${nobody}?process-id=${nobody}`, {}, 404, /./],
    ['a result of what is no id', `${node.cu}/result/xyz?process-id=${target}`, {}, 400, /./],
    ['results of an unknown process', `${node.cu}/results/${nobody}`, {}, 404, /process/i],
    ['results with a wrong limit', `${node.cu}/results/${target}?limit=many`, {}, 400, /limit/],
    ['the log of an unknown process', `${node.su}/${nobody}?process-id=${nobody}`, {}, 404, /./],
    ['an unknown process', `${node.su}/processes/${nobody}`, {}, 404, /process/i],
    ['a log with a wrong limit', `${node.su}/${target}?process-id=${target}&limit=-1`, {}, 400, /limit/],
    ['an assignment of half the parameters', `${node.mu}/?process-id=${target}`, { method: 'POST' }, 400, /assign/],
    ['an assignment of an unknown message', `${node.mu}/?process-id=${target}&assign=${nobody}`,
      { method: 'POST' }, 404, /not found/i],
    ['an assignment to an unknown process', `${node.mu}/?process-id=${nobody}&assign=${before[1].message.id}`,
      { method: 'POST' }, 404, /process/i],
    ['an assignment of what is no id', `${node.mu}/?process-id=${target}&assign=short`, { method: 'POST' }, 400, /./],
    ['a monitor without an item', `${node.mu}/monitor/${target}`, { method: 'POST' }, 400, /./],
    ['an unknown transaction', `${node.gateway}/raw/${nobody}`, {}, 404, /./],
    ['a GraphQL syntax error', `${node.gateway}/graphql`, json('{"query":"{ transactions("}'), [200, 400], /error/i]
  ]
  for (const [name, url, options, status, cause] of requests) {
    await suite.test(`${name} is refused`, () => refused(url, options, status, cause))
  }

  await suite.test('nothing of it entered the log, and the node serves', async () => {
    assert.deepEqual(await world.log(target), before)
    assert.equal(await world.read(target, 'return Touched'), 'no')
    assert.equal((await fetch(node.gateway + '/healthz')).status, 200)
  })

  await suite.test('an item posted twice gets its first assignment twice', async () => {
    const raw = await item([...ao, { name: 'Type', value: 'Message' }], {}, 'twice')
    const answers = []
    for (let i = 0; i < 2; i++) {
      const response = await post(node.su, raw)
      assert.equal(response.status, 200)
      answers.push(await response.json())
    }
    assert.deepEqual(answers[0], answers[1])
    assert.equal((await world.log(target)).length, before.length + 1)
  })

  await suite.test(`an item posted ${SAME_POSTS} times at once is ordered once`, async () => {
    const signed = await signItem(wallet.key, 'Count = (Count or 0) + 1', {
      target, tags: [...ao, { name: 'Type', value: 'Message' }, { name: 'Action', value: 'Eval' }]
    })
    const raw = signed.getRaw()
    const responses = await Promise.all(Array.from({ length: SAME_POSTS }, (_, i) =>
      post(i % 2 ? node.mu : node.su, raw)))
    for (const response of responses) {
      assert.ok([200, 202].includes(response.status), `${response.status} ${await response.clone().text()}`)
      assert.equal((await response.json()).id, signed.id)
    }
    const log = await world.log(target)
    assert.equal(log.filter(({ message }) => message.id === signed.id).length, 1)
    assert.equal(await world.read(target, 'return Count'), '1')
  })

  await suite.test('data that is no UTF-8 is ordered, and shown as valid JSON', async () => {
    const raw = await item([...ao, { name: 'Type', value: 'Message' }], {}, new Uint8Array([0x61, 0xff, 0xfe, 0x62]))
    assert.equal((await post(node.mu, raw)).status, 202)
    const last = (await world.log(target)).at(-1)
    assert.equal(last.message.data, 'a\ufffd\ufffdb')
    const result = await world.ao.result({ process: target, message: last.message.id })
    assert.equal(typeof result, 'object')
  })

  await suite.test('a process of an unknown module has no result, and the answer says why', async () => {
    const raw = await process([{ name: 'Module', value: nobody }, { name: 'Scheduler', value: world.scheduler }])
    const response = await post(node.mu, raw)
    const body = await response.json()
    if (response.status === 404 || response.status === 422) return assert.match(body.error, new RegExp(nobody))
    assert.equal(response.status, 202)
    await refused(`${node.cu}/result/${body.id}?process-id=${body.id}`, {}, [404, 422], new RegExp(nobody))
  })

  await hostileModules(suite, world)

  await suite.test('after all that the node still evaluates', async () => {
    assert.equal((await world.evaluate(target, 'return 1 + 1')).output, '2')
  })
}

async function hostileModules (suite, world) {
  const limits = { 'Memory-Limit': '64-mb', 'Compute-Limit': '100000000' }
  // A guest that gets no more memory decides itself what then: this one traps.
  const causes = { traps: /unreachable/, 'loops for ever': /gas/, 'eats memory': /unreachable/ }
  for (const [name, wasm] of Object.entries(hostile)) {
    await suite.test(`a module that ${name} gives an error result`, async () => {
      const module = await publish(world, wasm, limits)
      const process = await world.spawn({ module })
      const { result } = await world.send(process, { Action: 'Try' }, ' ')
      assert.equal(typeof result.Error, 'string', JSON.stringify(result))
      assert.match(result.Error, causes[name])
      assert.deepEqual([result.Messages, result.Spawns], [[], []])
    })
  }
  await suite.test('Lua that loops for ever or eats memory fails, and the process goes on', async () => {
    const process = await world.spawn({
      tags: Object.entries({ 'Memory-Limit': '128-mb', 'Compute-Limit': '2000000000000' }).map(([name, value]) => ({ name, value }))
    })
    await world.evaluate(process, 'Kept = "yes"')
    for (const [code, cause] of [
      ['Kept = "no"; while true do end', /gas/],
      ['Kept = "no"; local all = {}; for i = 1, 1e9 do all[i] = string.rep("x", 1e6) .. i end', /memory/]
    ]) {
      const { result } = await world.send(process, { Action: 'Eval' }, code)
      assert.match(String(result.Error), cause)
      assert.equal((await world.evaluate(process, 'return Kept')).output, 'yes')
    }
  })

  const cannotRun = [
    ['is no wasm', Buffer.from('not wasm at all'), {}, [422], /wasm|module/i],
    ['has an unknown format', hostile.traps, { 'Module-Format': 'evm-shanghai' }, [422], /Module-Format/],
    ['has no Compute-Limit', hostile.traps, { 'Compute-Limit': undefined }, [413], /Compute-Limit/],
    ['wants too much memory', hostile.traps, { 'Memory-Limit': '64-gb' }, [413], /Memory-Limit/]
  ]
  for (const [name, wasm, tags, status, cause] of cannotRun) {
    await suite.test(`a module that ${name} cannot run, and the answer says why`, async () => {
      const module = await publish(world, wasm, { ...limits, ...tags })
      const process = await world.spawn({ module })
      await refused(`${world.node.cu}/result/${process}?process-id=${process}`, {}, status, cause)
    })
  }
}

async function publish (world, wasm, tags) {
  const all = {
    'Data-Protocol': 'ao',
    Variant: 'ao.TN.1',
    Type: 'Module',
    'Module-Format': 'wasm32-unknown-emscripten4',
    'Input-Encoding': 'JSON-1',
    'Output-Encoding': 'JSON-1',
    'Content-Type': 'application/wasm',
    ...tags
  }
  const item = await signItem(world.wallet.key, wasm, {
    tags: Object.entries(all).filter(([, value]) => value !== undefined).map(([name, value]) => ({ name, value }))
  })
  const response = await post(world.node.gateway + '/tx', item.getRaw())
  assert.ok(response.ok, `${response.status} ${await response.text()}`)
  return item.id
}

function post (url, body) {
  return fetch(url, { method: 'POST', headers: { 'content-type': 'application/octet-stream' }, body })
}

async function refused (url, options, status, cause) {
  const response = await fetch(url, options)
  const text = await response.text()
  assert.ok([status].flat().includes(response.status), `${response.status} ${text}, want ${status}`)
  const body = JSON.parse(text)
  assert.match(JSON.stringify(body.error ?? body.errors), cause)
}
