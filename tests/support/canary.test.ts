import { expect, it } from 'vitest'
import { canaryLook } from './canary.ts'

const PAN = '9818029876543214'
const PIN_BLOCK = Buffer.from('d1c7a95b3e8f6204', 'hex')
const look = canaryLook({ pan: PAN, pin: PIN_BLOCK })

it.each<[string, string | Uint8Array]>([
  ['text', `{"pan":"${PAN}"}`],
  ['bytes of text', Buffer.from(`..${PAN}..`)],
  ['packed', Buffer.concat([Buffer.of(0xff), Buffer.from(PAN, 'hex'), Buffer.of(0xff)])],
  ['packed behind a digit', Buffer.from(`7${PAN}d29122011`.slice(0, 24), 'hex')],
  ['hexadecimal of its text', `\\x00${Buffer.from(PAN).toString('hex')}`],
  ['base64', Buffer.from(PAN).toString('base64')],
  ['base64 a byte later', Buffer.from(`;${PAN}=2912`).toString('base64')],
  ['base64 two bytes later', Buffer.from(`;;${PAN}=2912`).toString('base64url')],
  ['base64 of it packed', Buffer.concat([Buffer.of(1), Buffer.from(PAN, 'hex')]).toString('base64')],
])('a number is found as %s', (_what, haystack) => {
  expect(look(haystack)).toEqual(['pan'])
})

it.each<[string, string | Uint8Array]>([
  ['they are', Buffer.concat([Buffer.of(8), PIN_BLOCK, Buffer.of(9)])],
  ['hexadecimal', PIN_BLOCK.toString('hex')],
  ['hexadecimal in upper case', PIN_BLOCK.toString('hex').toUpperCase()],
  ['base64', PIN_BLOCK.toString('base64')],
  ['base64url in something longer', Buffer.concat([Buffer.of(1, 2), PIN_BLOCK, Buffer.of(3)]).toString('base64url')],
])('bytes are found as %s', (_what, haystack) => {
  expect(look(haystack)).toEqual(['pin'])
})

it('what may be shown is not found', () => {
  expect(look(`981802******3214 ${PAN.slice(0, 13)} ${PAN.slice(3)}`)).toEqual([])
})
