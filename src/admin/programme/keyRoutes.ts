/** Keys of the HSM: which there are, never what they are, and how one more is loaded. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import { done } from '../../ledger/programme/desk.ts'
import { checkKey, keyLoading } from '../../programme/loadKey.ts'
import { propose } from '../../programme/proposals.ts'
import { actorOf } from '../access/guard.ts'
import { jsonResponse } from '../problem.ts'
import { answerCommand, answerRead, readProblems, writeProblems, WriteHeaders, type ProgrammeParts } from './command.ts'
import { pageSchema } from './paging.ts'
import { ProposalSchema, shownProposal } from './proposalShown.ts'

const closed = { additionalProperties: false }
const tags = ['keys']

const KeySchema = Type.Object(
  {
    name: Type.String(),
    usage: Type.String({ description: 'ANSI X9.143 table 2' }),
    algorithm: Type.String({ description: 'T is TDES, A AES, H HMAC' }),
    bytes: Type.Integer(),
    kcv: Type.String({ description: 'check value' }),
  },
  { ...closed, examples: [{ name: 'zpk.pos', usage: 'P0', algorithm: 'T', bytes: 16, kcv: '08D7B4' }] },
)

const KeyName = (description: string) => Type.String({ pattern: '^[a-z0-9][a-z0-9.-]{0,38}$', description })

const KeyLoadSchema = Type.Object(
  {
    name: KeyName('a name that no key has: small letters, digits, dots and hyphens, at most 39'),
    under: KeyName('the name of a key encryption key of the HSM'),
    block: Type.String({
      pattern: '^[BD][0-9]{4}[A-Z0-9]{40,1019}$',
      description: 'a key block of version B or D (ANSI X9.143), upper case',
    }),
  },
  {
    ...closed,
    examples: [{ name: 'zpk.bank-2', under: 'transport.secure', block: `D0112P0AB00E0000${'0123456789ABCDEF'.repeat(6)}` }],
  },
)

export function keyRoutes(app: FastifyInstance, parts: ProgrammeParts): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>()
  const { hsm } = parts
  const kind = keyLoading(hsm)

  routes.get(
    '/v1/keys',
    {
      config: { permission: 'key:read' },
      schema: {
        summary: 'Which keys the HSM has: names, usages and check values',
        tags,
        response: { 200: jsonResponse('All of them, by name', pageSchema(KeySchema)), ...readProblems() },
      },
    },
    (_request, reply) =>
      answerRead(parts, reply, () => {
        const items = hsm.keys().map(({ name, usage, algorithm, bytes, kcv }) => ({ name, usage, algorithm, bytes, kcv }))
        return Promise.resolve(done({ items: items.toSorted((one, other) => (one.name < other.name ? -1 : 1)), next: null }))
      }),
  )

  routes.post(
    '/v1/keys',
    {
      config: { permission: 'key:load' },
      schema: {
        summary: 'Proposes to load a key from a key block; somebody else approves, and then it is loaded',
        description: 'The block is enciphered under a key that the HSM has: nobody who sees the proposal learns the key.',
        tags,
        headers: WriteHeaders,
        body: KeyLoadSchema,
        response: { 202: jsonResponse('The proposal, open', ProposalSchema), ...writeProblems() },
      },
    },
    (request, reply) => {
      const { name, under, block } = request.body
      const actor = actorOf(request)
      return answerCommand(
        parts,
        request,
        reply,
        {
          action: 'key.load',
          subject: `key ${name}`,
          detail: { under },
          work: async (tx) => {
            const possible = checkKey(hsm, { name, under })
            if (!possible.ok) return possible
            const proposed = await propose(tx, kind, actor, { subject: `key ${name}`, body: { name, under, block } })
            return proposed.ok ? done(shownProposal(proposed.value)) : proposed
          },
          audit: ({ proposalId }) => ({ detail: { proposalId } }),
        },
        202,
      )
    },
  )
}
