// A wallaby node as a child process.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { until } from './suite.mjs'

const START_TIMEOUT_MS = 60_000

export class Node {
  // With a config it is one node of a cluster, otherwise one by itself.
  constructor ({ binary, dataDir, portBase, config, modules = [], args = [] }) {
    Object.assign(this, { binary, dataDir, portBase, config, modules, args })
    this.gateway = `http://127.0.0.1:${portBase}`
    this.mu = `http://127.0.0.1:${portBase + 2}`
    this.su = `http://127.0.0.1:${portBase + 3}`
    this.cu = `http://127.0.0.1:${portBase + 4}`
  }

  // start runs the binary and waits until the node says that it is ready.
  async start () {
    this.launch()
    const started = Date.now()
    await until('node is ready', async () => {
      if (this.exited !== undefined) return true
      return (await fetch(this.gateway + '/readyz')).ok
    }, START_TIMEOUT_MS)
    if (this.exited !== undefined) {
      throw new Error(`the node ended with ${this.exited} before it was ready:\n${this.output}`)
    }
    this.startMS = Date.now() - started
  }

  // startRefused runs the binary where it cannot start, and gives its exit
  // code and what it printed to stderr.
  async startRefused () {
    this.launch()
    await until('the node refuses to start', () => this.exited !== undefined, START_TIMEOUT_MS)
      .catch(async err => { await this.kill(); throw err })
    return { code: this.exited, stderr: this.stderr.trim() }
  }

  // launch runs the binary and waits for nothing.
  launch () {
    const command = this.config
      ? ['node', '--config', this.config]
      : ['dev', '--data-dir', this.dataDir, '--port-base', String(this.portBase)]
    const args = [...command,
      ...this.modules.flatMap(module => ['--module', module]), ...this.args]
    this.output = ''
    this.stderr = ''
    this.exited = undefined
    this.child = spawn(this.binary, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.child.stdout.on('data', chunk => { this.output += chunk })
    this.child.stderr.on('data', chunk => { this.output += chunk; this.stderr += chunk })
    // close, not exit: only then has everything been read that it printed.
    this.child.on('close', (code, signal) => { this.exited = signal ?? code })
  }

  async kill () {
    await this.#end('SIGKILL')
  }

  // stop asks the node to drain and gives its exit code.
  async stop () {
    await this.#end('SIGTERM')
    return this.exited
  }

  async #end (signal) {
    if (!this.child || this.exited !== undefined) return
    const closed = once(this.child, 'close')
    this.child.kill(signal)
    await closed
  }

  // status is what the command line tells scripts about the node.
  status () {
    const { status, stdout, stderr } = spawnSync(this.binary,
      ['status', '-o', 'json', '--url', this.gateway], { encoding: 'utf8' })
    if (status !== 0) throw new Error(`wallaby status ended with ${status}: ${stderr}`)
    return JSON.parse(stdout)
  }
}

// freePortBase finds five ports in a row, as a node needs them.
export function freePortBase () {
  return freePorts(5)
}

export async function freePorts (count) {
  for (;;) {
    const base = 20_000 + 10 * Math.floor(Math.random() * 3_000)
    const free = await Promise.all(Array.from({ length: count }, (_, offset) => isFree(base + offset)))
    if (free.every(Boolean)) return base
  }
}

function isFree (port) {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
