/** What `POST /v1/authorizations` answers: the decision, or the problem that kept the switch from making one. */
import Type, { type Static } from 'typebox'
import { maskPan } from '../card.ts'
import { formatAmount } from '../money.ts'
import { APPROVED, MEANING_OF_CODE, PARTIALLY_APPROVED } from '../response/responseCodes.ts'
import type { AuthorizationResult } from '../response/result.ts'
import type { Transaction } from '../transaction/transaction.ts'
import type { AuthorizationRequest } from './authorizationRequest.ts'
import type { IdempotencyKey } from './idempotencyKey.ts'
import { namedProblem, OUTCOME_UNKNOWN, plainProblem, type Problem } from './problem.ts'

const AmountSchema = Type.String({ description: 'Major units: 12.50' })

export const AuthorizationAnswerSchema = Type.Object(
  {
    approved: Type.Boolean({ description: 'Whether the transaction was approved, in full or in part' }),
    responseCode: Type.String({ description: 'ISO 8583-1:1987 DE 39' }),
    meaning: Type.String({ description: "The response code in the standard's words" }),
    reason: Type.Optional(Type.String({ description: 'Why it was declined' })),
    approvalCode: Type.Optional(Type.String({ description: 'DE 38' })),
    amount: Type.String({ description: 'What was asked for, in major units: 12.50' }),
    approvedAmount: AmountSchema,
    balances: Type.Optional(
      Type.Object({ available: AmountSchema, ledger: AmountSchema }, { description: 'Of the purse, after the transaction' }),
    ),
    triesLeft: Type.Optional(Type.Integer({ description: 'Wrong PINs that are left before the PIN is blocked' })),
    chipData: Type.Optional(
      Type.String({ description: 'For the chip: its response cryptogram and commands, BER-TLV in hexadecimal (DE 55)' }),
    ),
    rrn: Type.String({ description: 'DE 37: names the transaction together with the approval code' }),
    idempotencyKey: Type.String(),
    card: Type.String({ description: 'The card number, masked' }),
    replayed: Type.Boolean({ description: 'The stored answer of an earlier request with this key: nothing was posted again' }),
  },
  {
    examples: [
      {
        approved: true,
        responseCode: APPROVED,
        meaning: 'Approved',
        approvalCode: '4F0K2A',
        amount: '12.50',
        approvedAmount: '12.50',
        balances: { available: '49988.50', ledger: '49988.50' },
        rrn: '63268K2JD01Q',
        idempotencyKey: '20261122-order-1001',
        card: '981801******0010',
        replayed: false,
      },
      {
        approved: false,
        responseCode: '51',
        meaning: 'Not sufficient funds',
        reason: 'insufficient_funds',
        amount: '12.50',
        approvedAmount: '0.00',
        rrn: '63268K2JD01Q',
        idempotencyKey: '20261122-order-1001',
        card: '981801******0010',
        replayed: false,
      },
    ],
  },
)

export type AuthorizationAnswer = Static<typeof AuthorizationAnswerSchema>

export interface Asked {
  readonly request: AuthorizationRequest
  readonly key: IdempotencyKey
  readonly transaction: Transaction
}

export function answerOf({ request, key, transaction }: Asked, result: AuthorizationResult): AuthorizationAnswer {
  const { responseCode, reason, approvalCode, approved, balances } = result
  const isApproved = responseCode === APPROVED || responseCode === PARTIALLY_APPROVED
  return {
    approved: isApproved,
    responseCode,
    meaning: MEANING_OF_CODE[responseCode] ?? '',
    ...(reason === undefined ? {} : { reason }),
    ...(isApproved && approvalCode !== undefined ? { approvalCode } : {}),
    amount: formatAmount(transaction.amount),
    approvedAmount: formatAmount(approved),
    ...(balances === undefined
      ? {}
      : { balances: { available: formatAmount(balances.available), ledger: formatAmount(balances.ledger) } }),
    ...(result.triesLeft === undefined ? {} : { triesLeft: result.triesLeft }),
    ...(result.chipData === undefined ? {} : { chipData: result.chipData.toString('hex').toUpperCase() }),
    rrn: result.rrn ?? transaction.rrn,
    idempotencyKey: key.text,
    card: maskPan(request.card.number),
    replayed: result.replayed,
  }
}

/** The problem that a result is; undefined where it is a decision. */
export function problemOfResult(result: AuthorizationResult | undefined): Problem | undefined {
  switch (result?.reason) {
    case undefined:
      return result === undefined ? OUTCOME_UNKNOWN : undefined
    case 'other_body':
      return namedProblem('key-reused', {
        title: 'The key belongs to another transaction',
        status: 409,
        detail: 'This Idempotency-Key came before with another body (response code 94). Nothing was posted.',
      })
    case 'stale':
      return namedProblem('key-date', {
        title: "The key's date is too far from today",
        status: 422,
        detail:
          'The date in the Idempotency-Key is too old, or ahead of the switch, to be kept unique. Nothing was posted; make a new key.',
      })
    case 'void':
      return namedProblem('key-void', {
        title: 'The key was given up',
        status: 503,
        detail:
          'An earlier request with this Idempotency-Key was not posted and never will be (response code 91). Make a new key.',
      })
    case 'cannot_decide':
      return namedProblem('cannot-decide', {
        title: 'The switch cannot decide now',
        status: 503,
        detail: 'Nothing was posted (response code 91). Send it again later, with the same key.',
      })
    case 'fault':
      return plainProblem(500, 'A fault of the switch (response code 96). Nothing was posted.')
    default:
      return undefined
  }
}
