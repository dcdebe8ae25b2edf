/**
 * What proves who sent a notice or a delivery report, over a body as it goes over the wire: HMAC-SHA256 (RFC 2104) of the time, a full stop and the body,
 * so that neither can be changed and an old one is found out. Headers: `x-sarf-timestamp`, seconds since 1970, and `x-sarf-signature`,
 * `sha256=` and 64 hexadecimal digits.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'

export const TIMESTAMP_HEADER = 'x-sarf-timestamp'
export const SIGNATURE_HEADER = 'x-sarf-signature'
const PREFIX = 'sha256='

export interface SignatureHeaders {
  readonly [TIMESTAMP_HEADER]: string
  readonly [SIGNATURE_HEADER]: string
}

export function signatureHeaders(secret: string, body: string | Uint8Array, nowMs: number): SignatureHeaders {
  const timestamp = String(Math.floor(nowMs / 1000))
  return { [TIMESTAMP_HEADER]: timestamp, [SIGNATURE_HEADER]: PREFIX + digest(secret, timestamp, body).toString('hex') }
}

export interface SignedRequest {
  readonly body: Uint8Array
  readonly timestamp: string | undefined
  readonly signature: string | undefined
}

/** @param windowMs how far its time may be from ours, before or after */
export function isSigned(
  { body, timestamp = '', signature = '' }: SignedRequest,
  secret: string,
  nowMs: number,
  windowMs: number,
): boolean {
  if (!/^\d{1,12}$/.test(timestamp) || !/^sha256=[0-9a-f]{64}$/.test(signature)) return false
  if (Math.abs(Number(timestamp) * 1000 - nowMs) > windowMs) return false
  return timingSafeEqual(digest(secret, timestamp, body), Buffer.from(signature.slice(PREFIX.length), 'hex'))
}

function digest(secret: string, timestamp: string, body: string | Uint8Array): Buffer {
  return createHmac('sha256', secret).update(`${timestamp}.`).update(body).digest()
}
