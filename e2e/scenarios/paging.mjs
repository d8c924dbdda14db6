// Paging through results with cursors, both ways.
import assert from 'node:assert/strict'
import { getJSON, printed } from '../lib/world.mjs'

const EVALS = 23
const PAGE = 5

export async function paging (suite, world) {
  const { ao, node } = world
  const process = await world.spawn()
  const want = []
  for (let i = 1; i <= EVALS; i++) {
    want.push((await world.evaluate(process, `return "value ${i}"`)).output)
    // A failed evaluation is no result of a page, and must not shorten one.
    if (i % 4 === 0) await failing(world, process)
  }

  await suite.test('results ascending, page after page, without gaps or doubles', async () => {
    const seen = []
    let from
    for (;;) {
      const page = await ao.results({ process, from, sort: 'ASC', limit: PAGE })
      assert.ok(page.edges.length <= PAGE)
      seen.push(...page.edges)
      if (page.edges.length === 0) break
      from = page.edges.at(-1).cursor
    }
    assertValues(seen, want)
  })

  await suite.test('results descending, page after page, without gaps or doubles', async () => {
    const seen = []
    let to
    for (;;) {
      // `to` is inclusive: the last one of a page comes again as the next one's first.
      const { edges } = await ao.results({ process, to, sort: 'DESC', limit: PAGE })
      const fresh = to ? edges.slice(1) : edges
      if (to) assert.equal(edges[0].cursor, to)
      if (fresh.length === 0) break
      seen.push(...fresh)
      to = fresh.at(-1).cursor
    }
    assertValues(seen.reverse(), want)
  })

  await suite.test('hasNextPage is true until the last page, and no page is short', async () => {
    let count = 0
    let from = ''
    for (;;) {
      const page = await getJSON(`${node.cu}/results/${process}?limit=${PAGE}${from}`)
      count += page.edges.length
      if (!page.pageInfo.hasNextPage) break
      assert.equal(page.edges.length, PAGE)
      from = `&from=${encodeURIComponent(page.edges.at(-1).cursor)}`
    }
    const all = await getJSON(`${node.cu}/results/${process}?limit=1000`)
    assert.equal(count, all.edges.length)
    assert.equal(all.pageInfo.hasNextPage, false)
  })

  await suite.test('a live console gets only what is new, in the order of its cursor', async () => {
    const last = (await ao.results({ process, sort: 'DESC', limit: 5 })).edges[0]
    const fresh = [(await world.evaluate(process, 'return "new 1"')).output,
      (await world.evaluate(process, 'return "new 2"')).output]
    // A cursor carries its own order, and `from` stays the lower bound in both.
    const live = await ao.results({ process, from: last.cursor, sort: 'ASC', limit: 1000 })
    assert.deepEqual(live.edges.map(edge => printed(edge.node)), fresh.toReversed())
    const again = await ao.results({ process, from: last.cursor, sort: 'ASC', limit: 1000 })
    assert.deepEqual(again, live)
  })

  await suite.test('a cursor is base64 JSON with an ordinate', async () => {
    const { edges } = await ao.results({ process, sort: 'ASC', limit: 3 })
    for (const { cursor } of edges) {
      const { ordinate, timestamp, sort } = JSON.parse(Buffer.from(cursor, 'base64').toString())
      assert.match(ordinate, /^\d+$/)
      assert.equal(typeof timestamp, 'number')
      assert.equal(sort, 'ASC')
    }
  })
}

// assertValues compares with the values of the Evals. The evaluation of the
// process itself comes first, and has no value of ours.
function assertValues (edges, want) {
  assert.equal(new Set(edges.map(edge => edge.cursor)).size, edges.length, 'a cursor came twice')
  const values = edges.map(edge => printed(edge.node)).filter(value => value.startsWith('value '))
  assert.deepEqual(values, want)
}

async function failing (world, process) {
  const { result } = await world.send(process, { Action: 'Eval' }, 'error("not on a page")')
  assert.match(JSON.stringify(result), /not on a page/)
}
