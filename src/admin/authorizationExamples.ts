/** Requests for the documentation page that work there as they stand, on the demo programme. */
import { utcDay } from '../clock.ts'
import { demoPan, demoTerminal } from '../programme/demo.ts'
import { demoPinBlock } from '../programme/demoVerification.ts'
import type { AuthorizationRequest } from './authorizationRequest.ts'

export interface AuthorizationExamples {
  readonly keys: string[]
  /** Examples by name, as OpenAPI writes them. */
  readonly requests: Readonly<Record<string, { readonly summary: string; readonly value: AuthorizationRequest }>>
}

/** Keys carry the date of `nowMs`, as those of an older day are refused after a while. */
export function authorizationExamples(nowMs: number): AuthorizationExamples {
  const key = (name: string): string => `${utcDay(nowMs).replaceAll('-', '')}-${name}`
  const at = (terminalClass: string): Pick<AuthorizationRequest, 'card' | 'terminalId'> => ({
    card: { number: demoPan(1) },
    terminalId: demoTerminal(terminalClass).terminalId,
  })
  const example = (summary: string, value: AuthorizationRequest): { summary: string; value: AuthorizationRequest } => ({
    summary,
    value,
  })
  return {
    keys: [key('order-1001')],
    requests: {
      purchase: example('Purchase', { kind: 'purchase', ...at('pos'), amount: '12.50' }),
      partial: example('Purchase that may be approved in part', {
        kind: 'purchase',
        ...at('pos'),
        card: { number: demoPan(17) },
        amount: '25.00',
        partialAccepted: true,
      }),
      authorization: example('Authorization, held until its completion', {
        kind: 'authorization',
        ...at('pos'),
        amount: '100.00',
      }),
      completion: example('Completion of an authorization', {
        kind: 'completion',
        ...at('pos'),
        amount: '80.00',
        original: { idempotencyKey: key('order-1001') },
      }),
      withdrawal: example('Withdrawal at a post ATM', {
        kind: 'withdrawal',
        ...at('atm'),
        card: { number: demoPan(1), pinBlock: demoPinBlock(demoPan(1)).toString('hex').toUpperCase(), pinFormat: 0 },
        amount: '200.00',
      }),
      deposit: example('Deposit at a post office', { kind: 'deposit', ...at('post-office'), amount: '50.00' }),
      credit: example('Incoming credit: a transfer, salary or pension', { kind: 'credit', ...at('transfer'), amount: '3000.00' }),
      payment: example('Payment of a government service', { kind: 'payment', ...at('government'), amount: '65.00' }),
      balance: example('Balance inquiry', { kind: 'balance', ...at('pos') }),
      refund: example('Refund, by the numbers of the answer to the purchase', {
        kind: 'refund',
        ...at('pos'),
        amount: '12.50',
        original: { rrn: '63268K2JD01Q', approvalCode: '4F0K2A' },
      }),
      reversal: example('Reversal of a purchase', {
        kind: 'reversal',
        ...at('pos'),
        original: { kind: 'purchase', idempotencyKey: key('order-1001') },
      }),
    },
  }
}
