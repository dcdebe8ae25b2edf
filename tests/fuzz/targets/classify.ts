/** Message to transaction (src/transaction/classify.ts). The first byte says how the link makes its keys. */
import { loadConfig } from '../../../src/config.ts'
import { decode } from '../../../src/iso8583/decode.ts'
import { messageSpec } from '../../../src/iso8583/messageSpec.ts'
import { classify as classifyMessage, type Classified } from '../../../src/transaction/classify.ts'
import type { Transaction } from '../../../src/transaction/transaction.ts'
import { check, checkNoCardNumber, same, type Target } from '../target.ts'
import { MESSAGE_TOKENS, messageSeeds } from './messageSeeds.ts'

const spec = messageSpec('ascii')
const { programme, security } = loadConfig({ DATABASE_URL: 'postgres://localhost/none', REDIS_URL: 'redis://localhost' })
const { accountTypes } = programme
const { profiles } = security
const { services } = programme.versions.at(-1)!
const lookupKey = Buffer.alloc(32, 1)
const nowMs = Date.parse('2026-11-22T09:30:05Z')

export const classify: Target = {
  seeds: messageSeeds('ascii').flatMap((seed) => [0, 1].map((first) => Buffer.concat([Buffer.of(first), seed]))),
  dictionary: [
    ...MESSAGE_TOKENS,
    ...Object.keys(accountTypes),
    '00',
    '01',
    '20',
    '21',
    '26',
    '31',
    '50',
    '0220',
    '0421',
    '000000',
  ],
  bytesMax: 500,
  run(input) {
    const decoded = decode(spec, input.subarray(1))
    if (!decoded.ok) return 'rejected'
    const link = { name: 'fuzz', keyTime: (input[0] ?? 0) % 2 === 0 ? 'transmission' : 'local' } as const
    const context = { link, nowMs, lookupKey, accountTypes, services, profiles }
    const classified = classifyMessage(decoded.message, context)
    same(classifyMessage(decoded.message, context), classified, 'the same message is the same transaction')
    return checkClassified(classified)
  },
}

function checkClassified(classified: Classified): 'accepted' | 'rejected' {
  switch (classified.kind) {
    case 'transaction':
      checkTransaction(classified.transaction)
      return 'accepted'
    case 'reject':
      check(/^DE \d{1,3}$/.test(classified.path), 'a path names a data element', classified.path)
      checkNoCardNumber(classified.expected, 'a reject')
      return 'rejected'
    case 'network':
    case 'file-update':
    case 'reconciliation':
    case 'unsupported':
      return 'rejected'
  }
}

function checkTransaction(transaction: Transaction): void {
  const { key, keyDate, body, amount, mti, rrn, cardToken, terminalId } = transaction
  check(isDay(keyDate), "a key's date is a day", keyDate)
  check(key.split('|').length >= 5 && key.includes(terminalId), 'a key has its parts', key)
  check(BigInt.asIntN(64, BigInt(body)) === BigInt(body), 'a body is a number of 64 bits', body)
  check(Number.isSafeInteger(amount) && amount >= 0 && amount <= 999_999_999_999, 'an amount is one of DE 4', amount)
  check(Number.isInteger(mti) && mti >= 0 && mti <= 9999, 'an MTI has four digits', mti)
  check(rrn.length > 0 && rrn.length <= 12, 'a reference fits DE 37', rrn)
  check(/^[\w-]{22}$/.test(cardToken), 'a card is a token', cardToken)
  if ('original' in transaction && transaction.original.by === 'key')
    check(isDay(transaction.original.keyDate), "an original's date is a day")
  if (transaction.kind === 'reversal' && transaction.finalAmount !== undefined)
    check(Number.isSafeInteger(transaction.finalAmount), 'a final amount is exact', transaction.finalAmount)
  if (transaction.kind !== 'dispense') return
  check(isDay(transaction.localDay), 'a local day is a day', transaction.localDay)
  check(Number.isSafeInteger(transaction.days), 'days are exact', transaction.days)
  for (const { count, amount } of transaction.basket)
    check(Number.isSafeInteger(count) && Number.isSafeInteger(amount), 'a basket is exact', [String(count), String(amount)])
}

function isDay(text: string): boolean {
  return /^\d{4}-\d{2}-\d{2}$/.test(text) && new Date(`${text}T00:00:00Z`).toISOString().startsWith(text)
}
