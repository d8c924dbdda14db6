// Wallets of every kind a client may sign with.
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto'
import { createDataItemSigner } from '@permaweb/aoconnect'
import {
  createData, keccak256, ArweaveSigner, EthereumSigner, HexSolanaSigner, SolanaSigner, TypedEthereumSigner
} from '@dha-team/arbundles'

// arweaveWallet makes an RSA key. The signer is made once: aoconnect refuses
// to make many for one wallet.
export function arweaveWallet () {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 4096 })
  const jwk = privateKey.export({ format: 'jwk' })
  return {
    kind: 'arweave',
    address: sha256(Buffer.from(jwk.n, 'base64url')),
    signer: createDataItemSigner(jwk),
    key: new ArweaveSigner(jwk)
  }
}

// otherWallets makes one wallet of each kind that is not RSA, with the address
// that a process sees as Owner.
export function otherWallets () {
  const seed = ed25519Secret()
  const ethereum = new EthereumSigner(randomBytes(32).toString('hex'))
  const typed = new TypedEthereumSigner(randomBytes(32).toString('hex'))
  return [
    wallet('ethereum', ethereum, checksummed(ethereum.publicKey)),
    wallet('ed25519', new SolanaSigner(base58(seed))),
    wallet('solana', new HexSolanaSigner(base58(seed))),
    wallet('typed ethereum', typed)
  ]
}

function wallet (kind, key, address = sha256(key.publicKey)) {
  return { kind, key, address, signer: clientSigner(key) }
}

// clientSigner lets aoconnect use a key of arbundles.
function clientSigner (key) {
  return async create => {
    const { data, tags, target, anchor } = await create({ passthrough: true })
    const item = await signItem(key, data, { tags, target, anchor })
    return { id: item.id, raw: item.getRaw() }
  }
}

export async function signItem (key, data, options) {
  const item = createData(data, key, options)
  await item.sign(key)
  return item
}

function sha256 (bytes) {
  return createHash('sha256').update(bytes).digest('base64url')
}

// checksummed gives the Ethereum address of a public key as EIP-55 writes it.
function checksummed (publicKey) {
  const plain = Buffer.from(keccak256(Buffer.from(publicKey).subarray(1))).subarray(-20).toString('hex')
  const hash = Buffer.from(keccak256(Buffer.from(plain))).toString('hex')
  return '0x' + [...plain].map((c, i) => parseInt(hash[i], 16) >= 8 ? c.toUpperCase() : c).join('')
}

function ed25519Secret () {
  const { privateKey } = generateKeyPairSync('ed25519')
  const { d, x } = privateKey.export({ format: 'jwk' })
  return Buffer.concat([Buffer.from(d, 'base64url'), Buffer.from(x, 'base64url')])
}

function base58 (bytes) {
  const alphabet = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
  let number = BigInt('0x' + bytes.toString('hex'))
  let text = ''
  for (; number > 0n; number /= 58n) text = alphabet[Number(number % 58n)] + text
  for (const byte of bytes) {
    if (byte !== 0) break
    text = '1' + text
  }
  return text
}
