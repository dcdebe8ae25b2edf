import { expect, it } from 'vitest'
import { isSignedBy, newWebhookSecret, signature } from '../../src/programme/webhookSignature.ts'

// The example of spec/events.md; made with OpenSSL: printf '%s' "1763803800.$BODY" | openssl dgst -sha256 -hmac "$SECRET".
const SECRET = 'whsec_Yc8p0q2bW1m4s6t8v0x2z4B6D8F0H2J4L6N8P0R2T4'
const BODY = '{"webhookId":"019aab2c-5e00-7a4b-9c1d-2f3e4a5b6c7d","events":[]}'
const AT_MS = 1_763_803_800_000
const HEADER = 't=1763803800,v1=3bc1e57a7e3dfc7da496ebfc2dde25101b2590714a85685194a9d37d27a1ed14'

it('is that of the documentation', () => {
  expect(signature(SECRET, BODY, AT_MS + 999)).toBe(HEADER)
  expect(isSignedBy(SECRET, HEADER, BODY, AT_MS, 300)).toBe(true)
  expect(isSignedBy(SECRET, `${HEADER},v2=00`, BODY, AT_MS, 300)).toBe(true)
})

it.each([
  ['another secret', newWebhookSecret(), HEADER, BODY, AT_MS],
  ['another body', SECRET, HEADER, `${BODY} `, AT_MS],
  ['another time', SECRET, HEADER.replace('800,', '801,'), BODY, AT_MS],
  ['an old one', SECRET, HEADER, BODY, AT_MS + 301_000],
  ['one of the future', SECRET, HEADER, BODY, AT_MS - 301_000],
  ['none', SECRET, '', BODY, AT_MS],
  ['half of one', SECRET, HEADER.slice(0, -32), BODY, AT_MS],
])('%s is not ours', (_, secret, header, body, nowMs) => {
  expect(isSignedBy(secret, header, body, nowMs, 300)).toBe(false)
})
