/**
 * How a webhook's receiver knows that it was us, and when: `sarf-signature: t=1763803800,v1=<hex>`, where v1 is HMAC-SHA256 under the webhook's
 * secret of the seconds since 1970, a dot, and the bytes of the body. Further `v` schemes may be added beside it.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

export const SIGNATURE_HEADER = 'sarf-signature'
const SECRET_BYTES = 32

export function signature(secret: string, body: string, nowMs: number): string {
  const seconds = Math.floor(nowMs / 1000)
  return `t=${String(seconds)},v1=${mac(secret, seconds, body)}`
}

/** What a receiver does. @param toleranceS how old it may be: who has listened can send it again @returns whether it is ours */
export function isSignedBy(secret: string, header: string, body: string, nowMs: number, toleranceS: number): boolean {
  const parts = new Map(header.split(',').map((part) => part.split('=', 2) as [string, string | undefined]))
  const seconds = Number(parts.get('t') ?? NaN)
  const given = Buffer.from(parts.get('v1') ?? '', 'hex')
  const ours = Buffer.from(mac(secret, seconds, body), 'hex')
  return Math.abs(nowMs / 1000 - seconds) <= toleranceS && given.length === ours.length && timingSafeEqual(given, ours)
}

function mac(secret: string, seconds: number, body: string): string {
  return createHmac('sha256', secret)
    .update(`${String(seconds)}.${body}`)
    .digest('hex')
}

export function newWebhookSecret(): string {
  return `whsec_${randomBytes(SECRET_BYTES).toString('base64url')}`
}
