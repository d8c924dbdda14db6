// Three wallaby nodes, started by one command, that are killed and started again
// one by one.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { Node, freePorts } from './node.mjs'
import { until } from './suite.mjs'

const NODES = 3
const PORTS = 10 // of each node

export class Cluster {
  constructor ({ binary, dataDir, portBase, modules }) {
    this.front = new Node({ binary, dataDir, portBase, modules, args: ['--cluster', String(NODES)] })
    this.nodes = Array.from({ length: NODES }, (_, i) => new Node({
      binary, portBase: portBase + i * PORTS, modules, config: join(dataDir, 'cluster', `n${i + 1}`, `n${i + 1}.yaml`)
    }))
  }

  async start () {
    await this.front.start()
    for (const node of this.nodes) await until('every node is ready', () => isReady(node))
  }

  // kill ends one node with SIGKILL, whoever started it.
  async kill (node) {
    if (node.child) return node.kill()
    process.kill(this.#startedByFront(node), 'SIGKILL')
    await until('the node is gone', async () => !(await isReady(node)))
  }

  // restart starts a killed node as the operator would who is told that it stopped.
  async restart (node) {
    await node.start()
  }

  async close () {
    for (const node of this.nodes) if (node.child) await node.kill()
    await this.front.stop()
  }

  get output () {
    return [this.front, ...this.nodes].map(node => node.output ?? '').join('\n')
  }

  #startedByFront (node) {
    const processes = execFileSync('ps', ['-eo', 'pid=,ppid=,args='], { encoding: 'utf8' })
    for (const line of processes.split('\n')) {
      const [pid, parent] = line.trim().split(/\s+/, 2).map(Number)
      if (parent === this.front.child.pid && line.includes(node.config)) return pid
    }
    throw new Error(`no process runs ${node.config}`)
  }
}

async function isReady (node) {
  return fetch(node.gateway + '/readyz').then(response => response.ok, () => false)
}

// freeClusterPorts finds the ports of all nodes in a row.
export function freeClusterPorts () {
  return freePorts(NODES * PORTS)
}
