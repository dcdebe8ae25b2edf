/**
 * Sends one HTTP request to an address that somebody else has named. Not every address may be reached: what is inside (this machine, the networks
 * around it, a cloud's metadata service) trusts whoever can reach it. The address that a name leads to is judged where the connection is made, so
 * that a name cannot lead elsewhere after it was judged. Redirects are not followed.
 */
import { lookup, type LookupAddress, type LookupOptions } from 'node:dns'
import { request as requestHttp, type IncomingMessage } from 'node:http'
import { request as requestHttps } from 'node:https'
import { BlockList, isIP } from 'node:net'

export interface OutgoingRequest {
  /** http: or https:. */
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** For the whole of it, from the look-up of the name to the status. */
  readonly deadlineMs: number
  /** Addresses that are not the public Internet's may be reached too. */
  readonly privateAddresses: boolean
}

/** The other side's status, or why there is none. */
export type OutgoingResult =
  { readonly kind: 'status'; readonly status: number } | { readonly kind: 'failed'; readonly reason: string }

/** POST. The body of the answer is not looked at. */
export function post(outgoing: OutgoingRequest): Promise<OutgoingResult> {
  const { url, headers, body, deadlineMs, privateAddresses } = outgoing
  const parsed = URL.parse(url)
  if (parsed === null || !/^https?:$/.test(parsed.protocol))
    return Promise.resolve({ kind: 'failed', reason: 'not an http address' })
  // An address in the place of a name is not looked up.
  if (!privateAddresses && isPrivateHost(parsed.hostname)) return Promise.resolve({ kind: 'failed', reason: PRIVATE })
  const { promise, resolve } = Promise.withResolvers<OutgoingResult>()
  const options = {
    method: 'POST',
    headers: { ...headers, 'content-length': String(Buffer.byteLength(body)), connection: 'close' },
    agent: false,
    signal: AbortSignal.timeout(deadlineMs),
    ...(privateAddresses ? {} : { lookup: lookUpPublic }),
  }
  const request = (parsed.protocol === 'https:' ? requestHttps : requestHttp)(parsed, options, (response: IncomingMessage) => {
    resolve({ kind: 'status', status: response.statusCode ?? 0 })
    response.on('error', () => undefined)
    response.resume()
  })
  request.on('error', (error: NodeJS.ErrnoException) => {
    resolve({ kind: 'failed', reason: reasonOf(error) })
  })
  // 101 without an upgrade that anybody asked for: Node.js closes the connection and says neither `response` nor `error`.
  request.on('close', () => {
    resolve({ kind: 'failed', reason: 'the connection was closed' })
  })
  request.end(body)
  return promise
}

const PRIVATE = 'the address is not a public one'

/** A code where there is one: a message may quote the address. */
function reasonOf(error: NodeJS.ErrnoException): string {
  if (error.name === 'AbortError' || error.name === 'TimeoutError') return 'no answer within the deadline'
  if (error instanceof PrivateAddress) return PRIVATE
  return error.code ?? 'the connection failed'
}

class PrivateAddress extends Error {
  override readonly name = 'PrivateAddress'
}

type LookUpDone = (error: Error | null, address: string | LookupAddress[], family?: number) => void

/** As `dns.lookup`, but that a name one of whose addresses is private has none. */
function lookUpPublic(hostname: string, options: LookupOptions, done: LookUpDone): void {
  lookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error !== null) done(error, [])
    else if (addresses.some(({ address }) => isPrivateAddress(address))) done(new PrivateAddress(PRIVATE), [])
    else if (options.all === true) done(null, addresses)
    else done(null, addresses[0]?.address ?? '', addresses[0]?.family)
  })
}

/** A host of a URL that is an address, and a private one; or a name that is this machine's by definition (RFC 6761 section 6.3). */
export function isPrivateHost(hostname: string): boolean {
  const host = hostname
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '')
    .toLowerCase()
  return host === 'localhost' || host.endsWith('.localhost') || (isIP(host) !== 0 && isPrivateAddress(host))
}

/** IANA's special-purpose addresses (RFC 6890 and after it): all that is not globally reachable, and what carries such an address inside. */
const SPECIAL_IPV4: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
]
/** Of IPv6 only 2000::/3 is in use between networks. */
const GLOBAL_IPV6: readonly [string, number] = ['2000::', 3]
const SPECIAL_IPV6: readonly (readonly [string, number])[] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
]

const special = new BlockList()
for (const [net, bits] of SPECIAL_IPV4) special.addSubnet(net, bits, 'ipv4')
for (const [net, bits] of SPECIAL_IPV6) special.addSubnet(net, bits, 'ipv6')
const global = new BlockList()
global.addSubnet(...GLOBAL_IPV6, 'ipv6')

function isPrivateAddress(address: string): boolean {
  if (isIP(address) === 4) return special.check(address, 'ipv4')
  return !global.check(address, 'ipv6') || special.check(address, 'ipv6')
}
