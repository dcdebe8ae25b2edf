/** The JSON of `POST /v1/authorizations`, and how it becomes the same typed transaction that an ISO 8583 message becomes. */
import Type, { type Static } from 'typebox'
import { cardToken } from '../card.ts'
import { EGP, minorUnits, parseAmount } from '../money.ts'
import type { MessageLink } from '../settings.ts'
import { profileOf, type SecurityParameters } from '../securityParameters.ts'
import { credentialsOf, type Shown } from '../transaction/credentials.ts'
import { bodyFingerprint } from '../transaction/identity.ts'
import type { OriginalReference, Transaction } from '../transaction/transaction.ts'
import { holdsCardNumber, KEY_EXPECTED, KEY_WITHOUT_CARD, parseIdempotencyKey, type IdempotencyKey } from './idempotencyKey.ts'
import { jsonReference } from './jsonReference.ts'
import type { ProblemFault } from './problem.ts'

const closed = { additionalProperties: false }

const AmountSchema = Type.String({
  pattern: '^\\d{1,10}(\\.\\d{1,2})?$',
  description: 'an amount in major units as a string: 12.50',
})
const KeySchema = Type.String({ maxLength: 64, description: KEY_EXPECTED })

const common = {
  card: Type.Object(
    {
      number: Type.String({ pattern: '^\\d{12,19}$', description: 'a card number as a string of 12 to 19 digits' }),
      expiry: Type.Optional(
        Type.String({ pattern: '^\\d{2}(0[1-9]|1[0-2])$', description: 'the expiry date of the card, YYMM (DE 14)' }),
      ),
      sequenceNumber: Type.Optional(
        Type.String({ pattern: '^\\d{2}$', description: 'the sequence number of the card, two digits (DE 23)' }),
      ),
      pinBlock: Type.Optional(
        Type.String({
          pattern: '^([0-9A-Fa-f]{16}|[0-9A-Fa-f]{32})$',
          description: "a PIN block under the switch's PIN key for HTTP, 16 or 32 hexadecimal digits (DE 52)",
        }),
      ),
      pinFormat: Type.Optional(
        Type.Integer({ enum: [0, 3, 4], description: 'the ISO 9564-1 format of the PIN block: 0, 3 or 4' }),
      ),
      keySerialNumber: Type.Optional(
        Type.String({
          pattern: '^([0-9A-Fa-f]{20}|[0-9A-Fa-f]{24})$',
          description: 'the key serial number of the PIN block where its key is derived (DUKPT), 20 or 24 hexadecimal digits',
        }),
      ),
      chipData: Type.Optional(
        Type.String({
          pattern: '^([0-9A-Fa-f]{2}){1,255}$',
          description: 'the data objects of the chip as BER-TLV, hexadecimal (DE 55)',
        }),
      ),
    },
    closed,
  ),
  // No | in it: it separates the parts of a key.
  terminalId: Type.String({ pattern: '^[!-{}~]{1,8}$', description: 'a terminal, 1 to 8 characters (DE 41)' }),
  acceptorId: Type.Optional(
    Type.String({ pattern: '^[!-~][ -~]{0,14}$', description: 'the merchant of the terminal, 1 to 15 characters (DE 42)' }),
  ),
  currency: Type.Optional(Type.String({ pattern: '^\\d{3}$', default: EGP, description: 'an ISO 4217 numeric code (DE 49)' })),
}

const PurchaseSchema = Type.Object(
  {
    kind: Type.Enum(['purchase', 'authorization']),
    ...common,
    amount: AmountSchema,
    partialAccepted: Type.Optional(
      Type.Boolean({ description: 'true where the terminal can do with a part of the amount (DE 48 PC)' }),
    ),
  },
  closed,
)
const SimpleSchema = Type.Object(
  { kind: Type.Enum(['withdrawal', 'deposit', 'credit', 'payment']), ...common, amount: AmountSchema },
  closed,
)
const BalanceSchema = Type.Object({ kind: Type.Enum(['balance']), ...common }, closed)
const FollowUpSchema = Type.Object(
  {
    kind: Type.Enum(['completion', 'refund']),
    ...common,
    amount: AmountSchema,
    original: Type.Object(
      {
        idempotencyKey: Type.Optional(KeySchema),
        rrn: Type.Optional(
          Type.String({ pattern: '^[!-~]{1,12}$', description: 'the rrn of the answer to the original (DE 37)' }),
        ),
        approvalCode: Type.Optional(
          Type.String({ pattern: '^[!-~]{1,6}$', description: 'the approvalCode of the answer to the original (DE 38)' }),
        ),
      },
      { ...closed, description: 'the original: its idempotencyKey (same terminal), or its rrn and approvalCode' },
    ),
  },
  closed,
)
const ReversalSchema = Type.Object(
  {
    kind: Type.Enum(['reversal']),
    ...common,
    original: Type.Object(
      {
        kind: Type.Enum(['purchase', 'authorization', 'completion', 'withdrawal', 'deposit', 'credit', 'payment', 'refund'], {
          description:
            'the kind of the original: purchase, authorization, completion, withdrawal, deposit, credit, payment or refund',
        }),
        idempotencyKey: KeySchema,
      },
      { ...closed, description: 'the original: its kind and its idempotencyKey (same terminal)' },
    ),
    finalAmount: Type.Optional(AmountSchema),
  },
  closed,
)

const kinds = [PurchaseSchema, SimpleSchema, BalanceSchema, FollowUpSchema, ReversalSchema] as const
export type AuthorizationRequest = Static<(typeof kinds)[number]>

/** A discriminated union: Ajv judges a request by the schema of its kind only, and says what is wrong there. */
export const AuthorizationRequestSchema = Type.Unsafe<AuthorizationRequest>({
  type: 'object',
  required: ['kind'],
  discriminator: { propertyName: 'kind' },
  oneOf: kinds,
})

type Kind = AuthorizationRequest['kind']

/** MTI and DE 3 that the transaction would have as an ISO 8583:1987 message; a reversal has the DE 3 of its original. */
const MESSAGE: Readonly<Record<Kind, { readonly mti: number; readonly processingCode: string }>> = {
  purchase: { mti: 200, processingCode: '000000' },
  authorization: { mti: 100, processingCode: '000000' },
  completion: { mti: 220, processingCode: '000000' },
  withdrawal: { mti: 200, processingCode: '010000' },
  deposit: { mti: 200, processingCode: '210000' },
  credit: { mti: 200, processingCode: '260000' },
  payment: { mti: 200, processingCode: '500000' },
  refund: { mti: 200, processingCode: '200000' },
  balance: { mti: 100, processingCode: '310000' },
  reversal: { mti: 400, processingCode: '' },
}

/** What a request is judged by. */
export interface RequestContext {
  readonly lookupKey: Uint8Array
  /** How cards are verified. */
  readonly profiles: SecurityParameters['profiles']
  /** How PIN blocks come over HTTP. */
  readonly pin: MessageLink['pin']
}

export type Built =
  { readonly ok: true; readonly transaction: Transaction } | { readonly ok: false; readonly fault: ProblemFault }

/** @param request one that fits `AuthorizationRequestSchema` */
export function transactionOf(request: AuthorizationRequest, key: IdempotencyKey, context: RequestContext): Built {
  const { kind, terminalId, currency = EGP, card } = request
  const amount = 'amount' in request ? parseAmount(request.amount) : minorUnits(0)
  if (amount === undefined) return fault('/amount', 'an amount')
  if (holdsCardNumber(key.text, context.profiles)) return fault('Idempotency-Key', KEY_WITHOUT_CARD)
  const named = 'original' in request ? request.original.idempotencyKey : undefined
  if (named !== undefined && holdsCardNumber(named, context.profiles)) return fault('/original/idempotencyKey', KEY_WITHOUT_CARD)
  const token = cardToken(card.number, context.lookupKey)
  const acceptorId = request.acceptorId?.trimEnd()
  const ledgerKey = ledgerKeyOf(terminalId, key, kind)
  const { processingCode } = MESSAGE[kind === 'reversal' ? request.original.kind : kind]
  const profile = profileOf(context, card.number)
  const shown = credentialsOf(shownBy(card), { pan: card.number, profile, link: context, terminalId })
  if (shown.kind === 'reject') return fault(`/card/${shown.what}`, shown.expected)
  const common = (original?: string, finalAmount?: string) => ({
    mti: MESSAGE[kind].mti,
    key: ledgerKey,
    keyDate: key.date,
    body: bodyFingerprint([token, processingCode, amountText(amount), currency, acceptorId, original, finalAmount]),
    cardToken: token,
    expiry: card.expiry,
    terminalId,
    acceptorId,
    amount,
    currency,
    rrn: jsonReference(ledgerKey, key.date),
    hasPin: card.pinBlock !== undefined,
    credentials: shown.credentials,
    profile,
    purse: 'cash',
  })
  switch (kind) {
    case 'purchase':
    case 'authorization':
      return built({ ...common(), kind, partialAccepted: request.partialAccepted ?? false })
    case 'completion':
    case 'refund': {
      const original = originalReference(request)
      return 'expected' in original ? { ok: false, fault: original } : built({ ...common(nameOf(original)), kind, original })
    }
    case 'reversal': {
      const original = originalByKey(terminalId, request.original.idempotencyKey, request.original.kind)
      if (original === undefined) return fault('/original/idempotencyKey', KEY_EXPECTED)
      const finalAmount = request.finalAmount === undefined ? undefined : parseAmount(request.finalAmount)
      const written = finalAmount === undefined ? undefined : amountText(finalAmount)
      return built({ ...common(nameOf(original), written), kind, original, finalAmount })
    }
    default:
      return built({ ...common(), kind })
  }
}

function shownBy({
  pinBlock,
  pinFormat,
  keySerialNumber,
  chipData,
  sequenceNumber,
  expiry,
}: AuthorizationRequest['card']): Shown {
  const bytes = (hex: string | undefined): Buffer | undefined => (hex === undefined ? undefined : Buffer.from(hex, 'hex'))
  return {
    entry: chipData === undefined ? 'unknown' : 'chip',
    pinBlock: bytes(pinBlock),
    newPinBlock: undefined,
    pinFormat: pinFormat === undefined ? undefined : String(pinFormat),
    keySerialNumber: bytes(keySerialNumber),
    chipData: bytes(chipData),
    psn: sequenceNumber,
    stripe: undefined,
    cardValue2: undefined,
    expiry,
  }
}

/** Keys of one terminal and class are one space, so that a follow-up can name its original by the same text. */
function ledgerKeyOf(terminalId: string, key: IdempotencyKey, kind: Kind): string {
  return `http|${terminalId}|${key.text}|${String(MESSAGE[kind].mti).charAt(0)}`
}

function originalReference(request: Static<typeof FollowUpSchema>): OriginalReference | ProblemFault {
  const { idempotencyKey, rrn, approvalCode } = request.original
  if (idempotencyKey === undefined) {
    if (rrn !== undefined && approvalCode !== undefined) return { by: 'reference', rrn, approvalCode }
    return { path: '/original', expected: 'its idempotencyKey, or its rrn and approvalCode' }
  }
  if (rrn !== undefined || approvalCode !== undefined) {
    return { path: '/original', expected: 'either its idempotencyKey or its rrn and approvalCode, not both' }
  }
  // A refund's original is a purchase, a payment or a completion: all of one message class.
  const original = originalByKey(request.terminalId, idempotencyKey, request.kind === 'completion' ? 'authorization' : 'purchase')
  return original ?? { path: '/original/idempotencyKey', expected: KEY_EXPECTED }
}

function originalByKey(terminalId: string, header: string, kind: Kind): (OriginalReference & { by: 'key' }) | undefined {
  const key = parseIdempotencyKey(header)
  return key === undefined ? undefined : { by: 'key', key: ledgerKeyOf(terminalId, key, kind), keyDate: key.date }
}

function nameOf(original: OriginalReference): string {
  return original.by === 'key' ? original.key : `${original.rrn} ${original.approvalCode}`
}

/** As DE 4 would carry it, n12. */
function amountText(amount: number): string {
  return String(amount).padStart(12, '0')
}

function built(transaction: Transaction): Built {
  return { ok: true, transaction }
}

function fault(path: string, expected: string): Built {
  return { ok: false, fault: { path, expected } }
}
