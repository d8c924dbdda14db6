// Spawn, message, result, dry run, assignment: what every client does first.
import assert from 'node:assert/strict'
import { AOS, getJSON, printed, tagOf } from '../lib/world.mjs'
import { otherWallets } from '../lib/wallets.mjs'

const FIRST_RESULTS = 20

export async function basics (suite, world) {
  const { node, ao, wallet } = world

  await suite.test('a process spawned by the client is an aos process of its owner', async () => {
    const process = await world.spawn()
    const { output } = await world.evaluate(process, 'return Owner')
    assert.equal(output, wallet.address)
    const boot = await ao.result({ process, message: process })
    assert.equal(boot.Error, undefined)
    assert.equal(typeof boot.GasUsed, 'number')
  })

  await suite.test(`the first result after a spawn is right at once, ${FIRST_RESULTS} times`, async () => {
    for (let i = 1; i <= FIRST_RESULTS; i++) {
      const process = await world.spawn()
      const message = await ao.message({
        process, signer: wallet.signer, data: `return ${i} * 1000`, tags: [{ name: 'Action', value: 'Eval' }]
      })
      const result = await ao.result({ process, message })
      assert.equal(printed(result), String(i * 1000), JSON.stringify(result))
      assert.equal(typeof result.GasUsed, 'number', JSON.stringify(result))
    }
  })

  await suite.test('state lasts from message to message, also with an anchor', async () => {
    const process = await world.spawn()
    await world.evaluate(process, 'Count = 41')
    const { output } = await world.evaluate(process, 'Count = Count + 1; return Count', { anchor: '0'.repeat(31) + '7' })
    assert.equal(output, '42')
  })

  await suite.test('an error in Lua is a result, and the process goes on', async () => {
    const process = await world.spawn()
    await world.evaluate(process, 'Kept = "yes"')
    const { result } = await world.send(process, { Action: 'Eval' }, 'Kept = "no"; error("on purpose")')
    assert.match(JSON.stringify(result), /on purpose/)
    assert.match(await world.read(process, 'return type(Kept)'), /string/)
  })

  await suite.test('a dry run changes nothing', async () => {
    const process = await world.spawn()
    await world.evaluate(process, 'Count = 1')
    for (let i = 0; i < 3; i++) {
      assert.equal(await world.read(process, 'Count = Count + 98; return Count'), '99')
    }
    assert.equal((await world.evaluate(process, 'return Count')).output, '1')
    assert.equal((await world.log(process)).length, 3)
  })

  await suite.test('a message is assigned to a second process', async () => {
    const [first, second] = [await world.spawn(), await world.spawn()]
    const { message } = await world.send(first, { Action: 'Note' }, 'written once')
    await world.evaluate(second, `
      ao.addAssignable("note", { Action = "Note" })
      Handlers.add("note", { Action = "Note" }, function(msg) Note = msg.Data end)`)
    const assignment = await ao.assign({ process: second, message })
    const result = await ao.result({ process: second, message: assignment })
    assert.equal(result.Error, undefined, JSON.stringify(result))
    assert.equal(await world.read(second, 'return Note'), 'written once')
    const entry = (await world.log(second)).at(-1)
    assert.equal(entry.assignment.id, assignment)
    assert.equal(tagOf(entry.assignment, 'Message'), message)
    assert.equal(entry.message, null)
  })

  await suite.test('an assignment can leave out the data', async () => {
    const [first, second] = [await world.spawn(), await world.spawn()]
    const { message } = await world.send(first, { Action: 'Note' }, 'left out')
    await world.evaluate(second, `
      ao.addAssignable("note", { Action = "Note" })
      Handlers.add("note", { Action = "Note" }, function(msg) Note = tostring(msg.Data) end)`)
    const assignment = await ao.assign({ process: second, message, exclude: ['Data'] })
    await ao.result({ process: second, message: assignment })
    assert.equal(await world.read(second, 'return Note'), 'nil')
    assert.equal(tagOf((await world.log(second)).at(-1).assignment, 'Exclude'), 'Data')
  })

  for (const other of otherWallets()) {
    await suite.test(`a wallet of the kind ${other.kind} spawns and owns`, async () => {
      const process = await world.spawn({ signer: other.signer })
      const { output } = await world.evaluate(process, 'return Owner', { signer: other.signer })
      assert.equal(output, other.address)
    })
  }

  await suite.test('a stranger is not the owner', async () => {
    const process = await world.spawn()
    await world.evaluate(process, 'Secret = "kept"')
    const [stranger] = otherWallets()
    await world.send(process, { Action: 'Eval' }, 'Secret = "stolen"', { signer: stranger.signer })
    assert.equal(await world.read(process, 'return Secret'), 'kept')
  })

  await suite.test('slashes at the end of settings, and the units under one port', async () => {
    for (const urls of [
      { MU_URL: node.mu + '/', CU_URL: node.cu + '/', GATEWAY_URL: node.gateway + '/' },
      { MU_URL: node.gateway + '/mu', CU_URL: node.gateway + '/cu', GATEWAY_URL: node.gateway },
      { MU_URL: node.gateway + '/mu/', CU_URL: node.gateway + '/cu/', GATEWAY_URL: node.gateway }
    ]) {
      const client = world.connectTo(urls)
      const process = await world.spawn({ ao: client })
      assert.equal((await world.evaluate(process, 'return 6 * 7', { ao: client })).output, '42')
      const dry = await client.dryrun({
        process, data: 'return 1', Owner: wallet.address, tags: [{ name: 'Action', value: 'Eval' }]
      })
      assert.equal(printed(dry), '1')
      assert.equal((await client.results({ process, limit: 10 })).edges.length, 2)
      await client.monitor({ process, signer: wallet.signer })
      await client.unmonitor({ process, signer: wallet.signer })
    }
    const process = await world.spawn()
    const page = await getJSON(`${node.gateway}/su/${process}?process-id=${process}`)
    assert.equal(page.edges[0].node.message.id, process)
  })

  await suite.test('the gateway shows the process, the module and the scheduler', async () => {
    const name = 'shown-' + Date.now()
    const process = await world.spawn({ tags: [{ name: 'Name', value: name }], data: 'process data' })
    const found = await graphql(node, `{ transactions(owners: ["${wallet.address}"], first: 10, tags: [
      { name: "Data-Protocol", values: ["ao"] }, { name: "Type", values: ["Process"] },
      { name: "Name", values: ["${name}"] }]) { edges { node { id tags { name value } } } } }`)
    assert.deepEqual(found.transactions.edges.map(edge => edge.node.id), [process])
    const module = await graphql(node, `{ transactions(ids: ["${AOS}"]) { edges { node { tags { name value } } } } }`)
    assert.equal(tagOf(module.transactions.edges[0].node, 'Type'), 'Module')
    const location = await graphql(node, `{ transactions(owners: ["${world.scheduler}"], first: 1, tags: [
      { name: "Type", values: ["Scheduler-Location"] }]) { edges { node { tags { name value } } } } }`)
    assert.match(tagOf(location.transactions.edges[0].node, 'Url'), /^http:/)
    const raw = await fetch(`${node.gateway}/raw/${process}`)
    assert.equal(await raw.text(), 'process data')
    assert.equal((await fetch(`${node.gateway}/${process}`, { method: 'HEAD' })).status, 200)
  })
}

async function graphql (node, query) {
  const { data, errors } = await getJSON(node.gateway + '/graphql', {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query })
  })
  assert.equal(errors, undefined, JSON.stringify(errors))
  return data
}
