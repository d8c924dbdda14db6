// A token and its holders: whatever happens, the balances add up.
import assert from 'node:assert/strict'
import { tagOf } from '../lib/world.mjs'

const SUPPLY = 1_000_000

// Economy is one token process and two holders. Ann hands one token of each
// transfer on to Ben, so that one message of ours makes a chain of pushes.
export class Economy {
  static async open (world) {
    const economy = new Economy()
    economy.world = world
    economy.token = await world.spawn()
    economy.ann = await world.spawn()
    economy.ben = await world.spawn()
    await world.load(economy.token, 'token.lua')
    for (const holder of [economy.ann, economy.ben]) {
      await world.load(holder, 'holder.lua')
      await world.evaluate(holder, `Token = "${economy.token}"`)
    }
    return economy
  }

  get processes () {
    return [this.token, this.ann, this.ben]
  }

  transferTags (quantity) {
    return { Action: 'Transfer', Recipient: this.ann, Quantity: String(quantity), 'X-Next': this.ben }
  }

  async state () {
    const holder = async process => ({
      received: await this.world.readJSON(process, 'Received'),
      spent: await this.world.readJSON(process, 'Spent'),
      notices: await this.world.readJSON(process, 'Notices')
    })
    return {
      ledger: await this.world.readJSON(this.token, 'Ledger'),
      ann: await holder(this.ann),
      ben: await holder(this.ben)
    }
  }

  // ordered counts the transfers of ours that are in the token's log.
  async ordered () {
    const log = await this.world.log(this.token)
    return log.filter(({ message }) => tagOf(message, 'Action') === 'Transfer' &&
      tagOf(message, 'X-Next') && !tagOf(message, 'From-Process')).length
  }

  // settled is the state after so many transfers of a quantity each, when
  // every push has arrived exactly once.
  settled (transfers, quantity) {
    return {
      ledger: {
        [this.world.wallet.address]: SUPPLY - transfers * quantity,
        [this.ann]: transfers * (quantity - 1),
        [this.ben]: transfers
      },
      ann: { received: transfers * quantity, spent: transfers, notices: transfers },
      ben: { received: transfers, spent: 0, notices: transfers }
    }
  }
}

export async function token (suite, world) {
  await suite.test('a token: 60 transfers with their pushes add up to the supply', async () => {
    const economy = await Economy.open(world)
    const transfers = 60
    await Promise.all(Array.from({ length: transfers }, () =>
      world.send(economy.token, economy.transferTags(5), ' ')))
    await world.untilEqual('every notice has arrived', () => economy.state(), economy.settled(transfers, 5))
    const { ledger } = await economy.state()
    assert.equal(Object.values(ledger).reduce((sum, held) => sum + held), SUPPLY)
  })

  await suite.test('a token: what nobody has cannot be sent', async () => {
    const economy = await Economy.open(world)
    for (const quantity of ['1000001', '0', '-5', '1.5', 'all', '9'.repeat(40)]) {
      const { result } = await world.send(economy.token,
        { Action: 'Transfer', Recipient: economy.ann, Quantity: quantity }, ' ')
      assert.match(JSON.stringify(result.Messages), /Transfer-Refused/, quantity)
    }
    assert.deepEqual(await world.readJSON(economy.token, 'Ledger'), { [world.wallet.address]: SUPPLY })
    const { result } = await world.send(economy.token, { Action: 'Holdings' }, ' ')
    assert.deepEqual(JSON.parse(result.Messages[0].Data), { [world.wallet.address]: SUPPLY })
  })
}
