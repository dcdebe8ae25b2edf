/**
 * A provider over HTTP: POST of JSON, signed (signature.ts). 2xx is accepted; 408, 429, 5xx and no answer are tried again, not before what Retry-After
 * says (RFC 9110, 10.2.3); every other answer is for good, redirections too: nobody is told a mobile whom the configuration does not name.
 */
import type { Clock } from '../../clock.ts'
import type { NoticeProvider, SendOutcome } from './provider.ts'
import { signatureHeaders } from './signature.ts'

export interface HttpProviderOptions {
  readonly url: string
  readonly secret: string
  /** For the whole exchange. */
  readonly deadlineMs: number
  readonly clock: Clock
}

const TRIED_AGAIN: readonly number[] = [408, 429]
const ANSWER_BYTES_MAX = 16_384
const REFERENCE = /^[\x21-\x7e]{1,128}$/

export function httpProvider({ url, secret, deadlineMs, clock }: HttpProviderOptions): NoticeProvider {
  return {
    deliversAtOnce: false,
    async send({ id, to, language, text, template }) {
      const body = JSON.stringify({ id, to: to.reveal(), language, text, template })
      try {
        const response = await fetch(url, {
          method: 'POST',
          body,
          redirect: 'manual',
          signal: AbortSignal.timeout(deadlineMs),
          headers: {
            'content-type': 'application/json',
            'idempotency-key': id,
            ...signatureHeaders(secret, body, clock.now()),
          },
        })
        return await outcomeOf(response, id, clock.now())
      } catch (error) {
        // What was sent may have arrived: the next attempt has the same id. The error's own text may name the address, never the number.
        const isLate = error instanceof Error && error.name === 'TimeoutError'
        return { kind: 'failed', reason: isLate ? 'no-answer' : 'not-reached' }
      }
    },
  }
}

async function outcomeOf(response: Response, id: string, nowMs: number): Promise<SendOutcome> {
  const { status, ok } = response
  if (ok) return { kind: 'accepted', reference: referenceIn(await start(response)) ?? id }
  await response.body?.cancel()
  const reason = `http-${String(status)}`
  if (status < 500 && !TRIED_AGAIN.includes(status)) return { kind: 'refused', reason }
  const afterMs = retryAfterMs(response.headers.get('retry-after'), nowMs)
  return { kind: 'failed', reason, ...(afterMs === undefined ? {} : { afterMs }) }
}

/** Seconds, or a date. */
function retryAfterMs(header: string | null, nowMs: number): number | undefined {
  if (header === null) return undefined
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000
  const date = Date.parse(header)
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMs)
}

/** No more of an answer than a reference can be in. */
async function start(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  const stream: AsyncIterable<Uint8Array> | readonly Uint8Array[] = response.body ?? []
  for await (const chunk of stream) {
    bytes += chunk.length
    if (bytes > ANSWER_BYTES_MAX) return ''
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function referenceIn(text: string): string | undefined {
  try {
    const value = JSON.parse(text) as unknown
    const reference = typeof value === 'object' && value !== null && 'reference' in value ? value.reference : undefined
    return typeof reference === 'string' && REFERENCE.test(reference) ? reference : undefined
  } catch {
    return undefined
  }
}
