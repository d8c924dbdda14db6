// The real aoconnect in legacy mode against a node that is started, killed and
// started again here. It wants bin/wallaby and testdata/modules; `make e2e`
// sees to both. With an argument only tests whose name contains it are run.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Cluster, freeClusterPorts } from './lib/cluster.mjs'
import { Node, freePortBase } from './lib/node.mjs'
import { Suite } from './lib/suite.mjs'
import { arweaveWallet } from './lib/wallets.mjs'
import { AOS, World } from './lib/world.mjs'
import { aosClient } from './scenarios/aosclient.mjs'
import { badInput } from './scenarios/badinput.mjs'
import { basics } from './scenarios/basics.mjs'
import { cluster } from './scenarios/cluster.mjs'
import { cron } from './scenarios/cron.mjs'
import { history } from './scenarios/history.mjs'
import { loop } from './scenarios/loop.mjs'
import { paging } from './scenarios/paging.mjs'
import { pushing } from './scenarios/pushing.mjs'
import { refusals } from './scenarios/refusals.mjs'
import { restart } from './scenarios/restart.mjs'
import { token } from './scenarios/token.mjs'
import { weave } from './scenarios/weave.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const binary = process.env.WALLABY_BINARY ?? join(root, 'bin', 'wallaby')
const aos = join(root, 'testdata', 'modules', 'aos2_0_6.wasm')

const suite = new Suite(process.argv[2])
const scenarios = { basics, aosClient, paging, pushing, token, badInput, history, weave, restart, cron, loop, refusals }

async function main () {
  for (const [path, target] of [[binary, 'make build'], [aos, 'make modules']]) {
    if (!existsSync(path)) return suite.skip('everything', `${path} is missing; \`${target}\` makes it`)
  }
  await oneNode()
  await threeNodes()
}

async function oneNode () {
  const dataDir = mkdtempSync(join(tmpdir(), 'wallaby-e2e-'))
  const node = new Node({
    binary, dataDir, portBase: await freePortBase(), modules: [`${AOS}=${aos}`]
  })
  process.once('exit', () => node.child?.kill('SIGKILL'))
  process.once('SIGTERM', () => process.exit(1))
  process.once('SIGINT', () => process.exit(1))
  try {
    await node.start()
    console.log(`      the node is ready after ${node.startMS} ms`)
    const world = new World({ node, wallet: arweaveWallet() })
    for (const [name, scenario] of Object.entries(scenarios)) {
      // What a scenario needs before its tests may fail like a test.
      await scenario(suite, world).catch(err => suite.fail(`set up ${name}`, err))
    }
  } catch (err) {
    suite.fail('the node starts', err)
  } finally {
    await node.kill()
    if (suite.failed) {
      const output = join(tmpdir(), 'wallaby-e2e-node.log')
      writeFileSync(output, node.output ?? '')
      console.log(`      what the node printed last: ${output}`)
    }
    rmSync(dataDir, { recursive: true, force: true })
  }
}

// threeNodes runs what is tested on a cluster.
async function threeNodes () {
  const dataDir = mkdtempSync(join(tmpdir(), 'wallaby-e2e-cluster-'))
  const nodes = new Cluster({ binary, dataDir, portBase: await freeClusterPorts(), modules: [`${AOS}=${aos}`] })
  process.once('exit', () => [nodes.front, ...nodes.nodes].forEach(node => node.child?.kill('SIGKILL')))
  try {
    await nodes.start()
    await cluster(suite, nodes, arweaveWallet())
  } catch (err) {
    suite.fail('the cluster starts', err)
  } finally {
    await nodes.close()
    if (suite.failed) writeFileSync(join(tmpdir(), 'wallaby-e2e-cluster.log'), nodes.output)
    rmSync(dataDir, { recursive: true, force: true })
  }
}

await main()
process.exit(suite.finish())
