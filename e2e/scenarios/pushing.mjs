// What the messenger does with results: messages and spawns, until quiet.
import assert from 'node:assert/strict'
import { getJSON, printed, tagOf } from '../lib/world.mjs'
import { until } from '../lib/suite.mjs'

const STROKES = 20

export async function pushing (suite, world) {
  await suite.test(`two processes play ping-pong for ${STROKES} strokes, then all is quiet`, async () => {
    const [one, two] = [await world.spawn(), await world.spawn()]
    await world.load(one, 'player.lua')
    await world.load(two, 'player.lua')
    const serve = await world.evaluate(one,
      `ao.send({ Target = "${two}", Action = "Ball", Left = "${STROKES - 1}" })`)
    assert.equal(serve.result.Messages.length, 1)
    const strokes = async () => [await world.readJSON(one, 'Strokes'), await world.readJSON(two, 'Strokes')]
    await world.untilEqual('every stroke is played', strokes, [STROKES / 2, STROKES / 2])

    const balls = (await world.log(two)).filter(entry => tagOf(entry.message, 'Action') === 'Ball')
    assert.equal(balls.length, STROKES / 2)
    for (const { message } of balls) {
      assert.equal(tagOf(message, 'From-Process'), one)
      assert.equal(tagOf(message, 'From-Module'), 'ISShJH1ij-hPPt9St5UFFr_8Ys3Kj5cyg7zrMGt7H9s')
      assert.equal(tagOf(message, 'Pushed-For'), serve.message)
    }
    assert.deepEqual(await strokes(), [STROKES / 2, STROKES / 2])
  })

  await suite.test('a process spawns a child, hears of it, and the child works', async () => {
    const parent = await world.spawn()
    await world.load(parent, 'parent.lua')
    await world.evaluate(parent, 'Bear("Pip")')
    const [child] = await until('the parent hears of its child', async () => {
      const children = await world.readJSON(parent, 'Children')
      return children.length > 0 && children
    })
    const { result } = await world.send(child, { Action: 'Who' }, ' ')
    assert.equal(result.Error, undefined)
    assert.deepEqual(result.Messages.map(message => [message.Target, message.Data]), [[world.wallet.address, 'Pip']])

    const [{ message }] = await world.log(child)
    assert.equal(message.id, child)
    assert.equal(tagOf(message, 'From-Process'), parent)
    assert.equal(tagOf(message, 'Scheduler'), world.scheduler)
    const told = (await world.log(parent)).filter(entry => tagOf(entry.message, 'Action') === 'Spawned')
    assert.deepEqual(told.map(entry => tagOf(entry.message, 'Process')), [child])
  })

  await suite.test('equal spawns of one result are two children', async () => {
    const parent = await world.spawn()
    await world.load(parent, 'parent.lua')
    await world.evaluate(parent, 'Bear("Twin"); Bear("Twin")')
    const children = await until('both children are known', async () => {
      const known = await world.readJSON(parent, 'Children')
      return known.length === 2 && known
    })
    assert.notEqual(children[0], children[1])
  })

  await suite.test('a parent evaluates in its child, whose owner it is', async () => {
    const parent = await world.spawn()
    await world.load(parent, 'parent.lua')
    await world.evaluate(parent, 'Bear("Owned")')
    const [child] = await until('the parent hears of its child', async () => {
      const children = await world.readJSON(parent, 'Children')
      return children.length > 0 && children
    })
    await world.evaluate(parent, `ao.send({ Target = "${child}", Action = "Eval", Data = "Told = Owner" })`)
    const owner = await until('the child did what it was told', async () => {
      const { Messages } = await world.ao.dryrun({
        process: child, Owner: parent, tags: [{ name: 'Action', value: 'Who' }]
      })
      const told = (await world.log(child)).find(entry => tagOf(entry.message, 'Action') === 'Eval')
      return Messages.length === 1 && told && tagOf(told.message, 'From-Process')
    })
    assert.equal(owner, parent)
    const result = await world.ao.dryrun({
      process: child, Owner: parent, data: 'return Told', tags: [{ name: 'Action', value: 'Eval' }]
    })
    assert.equal(printed(result), parent)
  })

  await suite.test('what was pushed is not pushed twice, also when somebody asks', async () => {
    const [one, two] = [await world.spawn(), await world.spawn()]
    const { message } = await world.evaluate(one, `ao.send({ Target = "${two}", Action = "Note", Data = "once" })`)
    const notes = async () => (await world.log(two)).filter(entry => tagOf(entry.message, 'Action') === 'Note').length
    await world.untilEqual('the note is there', notes, 1)
    const push = async (number, query = '') => {
      const response = await fetch(`${world.node.mu}/push/${message}/${number}${query}`, { method: 'POST' })
      return [response.status, await response.json()]
    }
    const accepted = [202, { message: 'Processing Message Result', id: message }]
    assert.deepEqual(await push(0), accepted)
    assert.deepEqual(await push(0, `?process-id=${one}`), accepted)
    assert.equal((await push(1))[0], 400)
    const [status, { error }] = await push('first')
    assert.deepEqual([status, error], [400, "'number' parameter must be a valid number"])
    await world.evaluate(two, 'return 1')
    assert.equal(await notes(), 1)
  })

  await suite.test('a message is assigned to whom its tag Assignments names', async () => {
    const [sender, target, other] = [await world.spawn(), await world.spawn(), await world.spawn()]
    for (const process of [target, other]) {
      await world.evaluate(process, `
        ao.addAssignable("note", { Action = "Note" })
        Handlers.add("note", { Action = "Note" }, function(msg) Note = msg.Data .. " from " .. msg.From end)`)
    }
    await world.evaluate(sender,
      `ao.send({ Target = "${target}", Action = "Note", Data = "for both", Assignments = { "${other}" } })`)
    for (const process of [target, other]) {
      await world.untilEqual('the note is there', () => world.read(process, 'return tostring(Note)'), `for both from ${sender}`)
    }
    const { assignment, message } = (await world.log(other)).at(-1)
    assert.equal(message, null)
    assert.equal(tagOf(assignment, 'Message'), (await world.log(target)).at(-1).message.id)
  })

  await suite.test('what is assigned from the base layer must lie deep enough', async () => {
    const sender = await world.spawn()
    const { message } = await world.send(sender, { Action: 'Deep' }, 'deep')
    const receiver = await world.spawn({ tags: [{ name: 'Settlement-Depth', value: '1000' }] })
    const assign = () => world.ao.assign({ process: receiver, message, baseLayer: true })
    await assert.rejects(assign, /Not enough confirmations to assign: .* of 1000: try again in \d+ blocks, about \d+ minutes/)
    await getJSON(`${world.node.gateway}/mine/1000`)
    const assignment = await assign()
    const result = await world.ao.result({ process: receiver, message: assignment })
    assert.equal(result.Error, undefined)
    assert.equal((await world.log(receiver)).at(-1).assignment.id, assignment)
  })

  await suite.test('a message to a wallet is uploaded, not scheduled', async () => {
    const process = await world.spawn()
    const { result } = await world.evaluate(process,
      `ao.send({ Target = "${world.wallet.address}", Action = "Greeting", Data = "hello, wallet" })`)
    assert.equal(result.Messages.length, 1)
    const query = `{ transactions(recipients: ["${world.wallet.address}"], tags: [
      { name: "From-Process", values: ["${process}"] }, { name: "Action", values: ["Greeting"] }]) {
      edges { node { id owner { address } } } } }`
    const id = await until('the gateway has the message', async () => {
      const response = await fetch(world.node.gateway + '/graphql', {
        method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query })
      })
      return (await response.json()).data.transactions.edges[0]?.node.id
    })
    assert.equal(await (await fetch(`${world.node.gateway}/raw/${id}`)).text(), 'hello, wallet')
  })
}
