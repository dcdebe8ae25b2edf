/** Terminals: which merchant's, of which class, and what their messages must come by. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import Type from 'typebox'
import { done } from '../../ledger/programme/desk.ts'
import { listTerminals, readTerminal } from '../../ledger/programme/terminals.ts'
import { changeTerminal, NO_SUCH_TERMINAL, registerTerminal } from '../../programme/registry.ts'
import { TERMINAL_STATES } from '../../transaction/terminal.ts'
import { jsonResponse } from '../problem.ts'
import {
  answerCommand,
  answerRead,
  etag,
  readProblems,
  versionSeen,
  WriteHeaders,
  writeProblems,
  type ProgrammeParts,
} from './command.ts'
import { AcceptorId, Certificate } from './merchantRoutes.ts'
import { pageOf, PageQuery, pageSchema, pageStart } from './paging.ts'

const closed = { additionalProperties: false }

const TerminalId = Type.String({
  pattern: '^[A-Za-z0-9._-]{1,8}$',
  description: 'DE 41: 1 to 8 letters, digits, dots, _ and -',
  examples: ['POS00001'],
})
const Class = Type.String({
  pattern: '^[a-z][a-z0-9-]{0,31}$',
  description: 'a class that a rule of the programme names: pos, bakery, grocer',
})
const Wallet = Type.Boolean({ description: "takes the price of subsidised goods from the card's cash purse" })
const Offline = Type.Boolean({ description: 'may approve bread and goods without a connection, and advise afterwards' })
const Link = Type.Union([Type.String({ pattern: '^[a-z][a-z0-9-]{0,10}$' }), Type.Null()], {
  description: 'a link of the configuration; null: any',
})
const MacKey = Type.Union([Type.String({ pattern: '^[\\x21-\\x7e]{1,64}$' }), Type.Null()], {
  description: "name of a key, 1 to 64 characters without spaces; null: the link's",
})
const State = Type.Enum([...TERMINAL_STATES], { description: TERMINAL_STATES.join(', ') })

const example = {
  terminalId: 'BAK90001',
  acceptorId: 'PORTSAID0000042',
  class: 'bakery',
  wallet: true,
  offline: false,
  certificate: null,
  link: 'pos',
  macKey: null,
}
const bindings = { certificate: Certificate, link: Link, macKey: MacKey }

const TerminalSchema = Type.Object(
  {
    terminalId: TerminalId,
    acceptorId: AcceptorId,
    class: Class,
    state: State,
    wallet: Wallet,
    offline: Offline,
    ...bindings,
    version: Type.Integer(),
  },
  { ...closed, examples: [{ ...example, state: 'ACTIVE', version: 1 }] },
)
const NewTerminalSchema = Type.Object(
  {
    terminalId: TerminalId,
    acceptorId: AcceptorId,
    class: Class,
    wallet: Type.Optional(Wallet),
    offline: Type.Optional(Offline),
    ...Type.Partial(Type.Object(bindings)).properties,
  },
  { ...closed, examples: [example] },
)
const ChangeSchema = Type.Object(
  {
    state: Type.Optional(State),
    wallet: Type.Optional(Wallet),
    offline: Type.Optional(Offline),
    ...Type.Partial(Type.Object(bindings)).properties,
  },
  { ...closed, minProperties: 1, description: 'at least one member', examples: [{ state: 'SUSPENDED' }] },
)
const Params = Type.Object({ terminalId: TerminalId }, closed)
const Query = Type.Object(
  {
    ...PageQuery,
    state: Type.Optional(State),
    class: Type.Optional(Class),
    acceptorId: Type.Optional(AcceptorId),
    governorate: Type.Optional(Type.String({ pattern: '^\\d{1,2}$', description: 'number of the governorate of its merchant' })),
  },
  closed,
)

export function terminalRoutes(app: FastifyInstance, parts: ProgrammeParts): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>()

  routes.get(
    '/v1/terminals',
    {
      config: { permission: 'merchant:read' },
      schema: {
        summary: 'Terminals by DE 41',
        tags: ['registry'],
        querystring: Query,
        response: { 200: jsonResponse('A page of them', pageSchema(TerminalSchema)), ...readProblems() },
      },
    },
    (request, reply) =>
      answerRead(parts, reply, async (tx) => {
        const { state, class: terminalClass, acceptorId, governorate } = request.query
        const start = pageStart(request.query)
        const found = await listTerminals(tx, start.after, start.look, {
          state,
          class: terminalClass,
          acceptorId,
          governorate: governorate === undefined ? undefined : Number(governorate),
        })
        return done(pageOf(found, start, (terminal) => terminal.terminalId))
      }),
  )

  routes.get(
    '/v1/terminals/:terminalId',
    {
      config: { permission: 'merchant:read' },
      schema: {
        summary: 'A terminal',
        tags: ['registry'],
        params: Params,
        response: { 200: jsonResponse('The terminal; ETag is its version', TerminalSchema), ...readProblems() },
      },
    },
    (request, reply) =>
      answerRead(parts, reply, async (tx) => {
        const terminal = await readTerminal(tx, request.params.terminalId)
        if (terminal === undefined) return NO_SUCH_TERMINAL
        void reply.header('etag', etag(terminal.version))
        return done(terminal)
      }),
  )

  routes.post(
    '/v1/terminals',
    {
      config: { permission: 'merchant:write' },
      schema: {
        summary: 'Registers a terminal of a merchant, in use at once',
        tags: ['registry'],
        headers: WriteHeaders,
        body: NewTerminalSchema,
        response: { 201: jsonResponse('The terminal', TerminalSchema), ...writeProblems() },
      },
    },
    (request, reply) => {
      const unbound = { wallet: false, offline: false, certificate: null, link: null, macKey: null }
      const terminal = { ...unbound, ...request.body }
      return answerCommand(
        parts,
        request,
        reply,
        {
          action: 'terminal.register',
          subject: `terminal ${terminal.terminalId}`,
          detail: { ...request.body },
          work: (tx) => registerTerminal(tx, terminal, parts.config),
        },
        201,
      )
    },
  )

  routes.patch(
    '/v1/terminals/:terminalId',
    {
      config: { permission: 'merchant:write' },
      schema: {
        summary:
          'Changes a terminal: suspended, it is refused (58); retired, for good. Class and merchant stay: another one is another terminal',
        tags: ['registry'],
        params: Params,
        headers: WriteHeaders,
        body: ChangeSchema,
        response: {
          200: jsonResponse('The terminal as it is now', TerminalSchema),
          ...writeProblems({ 404: 'There is no such terminal' }),
        },
      },
    },
    (request, reply) => {
      const { terminalId } = request.params
      return answerCommand(parts, request, reply, {
        action: 'terminal.change',
        subject: `terminal ${terminalId}`,
        detail: { ...request.body },
        work: (tx) => changeTerminal(tx, terminalId, request.body, versionSeen(request), parts.config),
      })
    },
  )
}
