// What the scenarios share: a running node, a wallet, and the real client.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { connect } from '@permaweb/aoconnect'
import { until } from './suite.mjs'

export const AOS = 'ISShJH1ij-hPPt9St5UFFr_8Ys3Kj5cyg7zrMGt7H9s'

export class World {
  constructor ({ node, wallet }) {
    this.node = node
    this.wallet = wallet
    this.ao = this.connectTo({ MU_URL: node.mu, CU_URL: node.cu, GATEWAY_URL: node.gateway })
    const { scheduler, authority } = node.status()
    this.scheduler = scheduler
    this.authority = authority
  }

  connectTo (urls) {
    return connect({ MODE: 'legacy', ...urls })
  }

  // spawn makes an aos process that trusts the node's messenger.
  spawn ({ signer = this.wallet.signer, tags = [], data, module = AOS, ao = this.ao } = {}) {
    return ao.spawn({
      module,
      scheduler: this.scheduler,
      signer,
      tags: [{ name: 'Authority', value: this.authority }, ...tags],
      ...(data === undefined ? {} : { data })
    })
  }

  async send (process, tags, data, { signer = this.wallet.signer, ao = this.ao, ...rest } = {}) {
    const message = await ao.message({
      process, signer, data, tags: Object.entries(tags).map(([name, value]) => ({ name, value })), ...rest
    })
    return { message, result: await ao.result({ process, message }) }
  }

  // evaluate runs Lua in a process and gives its result and printed value.
  async evaluate (process, code, options) {
    const sent = await this.send(process, { Action: 'Eval' }, code, options)
    assert.equal(sent.result.Error, undefined, `${code}: ${sent.result.Error}`)
    return { ...sent, output: printed(sent.result) }
  }

  load (process, file) {
    return this.evaluate(process, readFileSync(new URL(`../lua/${file}`, import.meta.url), 'utf8'))
  }

  // read evaluates Lua in a dry run, which leaves the process as it is.
  async read (process, code) {
    const result = await this.ao.dryrun({
      process, data: code, Owner: this.wallet.address, tags: [{ name: 'Action', value: 'Eval' }]
    })
    assert.equal(result.Error, undefined, `${code}: ${JSON.stringify(result)}`)
    return printed(result)
  }

  async readJSON (process, expression) {
    return JSON.parse(await this.read(process, `return require("json").encode(${expression})`))
  }

  // log lists what the scheduler has of a process, page after page.
  async log (process, limit = 50) {
    const edges = []
    let from = ''
    for (;;) {
      const page = await getJSON(`${this.node.su}/${process}?process-id=${process}&limit=${limit}${from}`)
      edges.push(...page.edges.map(edge => edge.node))
      if (!page.page_info.has_next_page) return edges
      from = `&from=${page.edges.at(-1).cursor}`
    }
  }

  untilEqual (what, read, want, timeoutMS) {
    let last
    return until(what, async () => {
      last = await read()
      try {
        assert.deepEqual(last, want)
        return true
      } catch {
        throw new Error(`got ${JSON.stringify(last)}, want ${JSON.stringify(want)}`)
      }
    }, timeoutMS)
  }
}

// printed is the value that aos shows for a result, without its colours.
export function printed ({ Output }) {
  const value = typeof Output?.data === 'object' && Output.data ? Output.data.output : Output?.data
  // eslint-disable-next-line no-control-regex
  return String(value ?? Output).replace(/\u001b\[[0-9;]*m/g, '')
}

export function tagOf (message, name) {
  return message.tags.find(tag => tag.name === name)?.value
}

export async function getJSON (url, options) {
  const response = await fetch(url, options)
  const text = await response.text()
  assert.equal(response.status, 200, `${url}: ${response.status} ${text}`)
  return JSON.parse(text)
}
