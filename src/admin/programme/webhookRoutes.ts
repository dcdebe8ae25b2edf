/** Webhooks: whom events are sent to. */
import { randomUUID } from 'node:crypto'
import { lastEventNumber } from '../../ledger/programme/eventFeed.ts'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import Type, { type Static } from 'typebox'
import { done, refused, type Outcome, type SqlTransaction } from '../../ledger/programme/desk.ts'
import {
  deleteWebhook,
  insertWebhook,
  lockWebhook,
  readDeadLetters,
  readWebhook,
  readWebhookPage,
  replayWebhook,
  setWebhookState,
  type DeadLetter,
  type Webhook,
} from '../../ledger/programme/webhooks.ts'
import { EVENT_KIND } from '../../programme/toldEvents.ts'
import { newWebhookSecret } from '../../programme/webhookSignature.ts'
import { WEBHOOK_URL_MAX, webhookUrlProblem } from '../../programme/webhookUrl.ts'
import { actorOf } from '../access/guard.ts'
import { holdsCardNumber } from '../idempotencyKey.ts'
import { jsonResponse } from '../problem.ts'
import {
  answerCommand,
  answerRead,
  etag,
  readProblems,
  versionSeen,
  writeProblems,
  WriteHeaders,
  type ProgrammeParts,
} from './command.ts'
import { numberAfter, PageQuery, pageOf, pageStart } from './paging.ts'

const closed = { additionalProperties: false }
const ID_EXAMPLE = '019aab2c-5e00-7a4b-9c1d-2f3e4a5b6c7d'
const Id = Type.String({ pattern: '^[0-9a-f-]{36}$', description: 'the id of a webhook', examples: [ID_EXAMPLE] })
const Instant = Type.Union([Type.String(), Type.Null()], { description: 'RFC 3339, UTC' })
const Kinds = Type.Array(
  Type.String({
    pattern: `^${EVENT_KIND}$`,
    description: 'a kind, or what it begins with up to a dot: card, card.reported_lost',
  }),
  { minItems: 1, maxItems: 32, uniqueItems: true, description: '1 to 32 kinds, or what they begin with up to a dot' },
)
const EventId = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: 'the id of an event' })

const NewWebhookSchema = Type.Object(
  {
    url: Type.String({
      minLength: 1,
      maxLength: WEBHOOK_URL_MAX,
      description: 'where events are sent to: https, a public address',
    }),
    kinds: Kinds,
    secret: Type.Optional(
      Type.String({
        pattern: '^[!-~]{32,128}$',
        description:
          '32 to 128 printable characters of ASCII without spaces, which sign what is sent; absent: one is made and shown once',
      }),
    ),
  },
  { ...closed, examples: [{ url: 'https://events.example.eg/sarf', kinds: ['card', 'authorization.declined', 'entitlement'] }] },
)

const EXAMPLE = {
  webhookId: ID_EXAMPLE,
  url: 'https://events.example.eg/sarf',
  kinds: ['card', 'authorization.declined', 'entitlement'],
  state: 'active' as const,
  version: 1,
  madeBy: 'operator-7',
  madeAt: '2026-11-22T08:00:00.000Z',
  toldUntil: 1041,
  lastToldAt: '2026-11-22T09:30:00.000Z',
  attempts: 0,
  nextAttemptAt: null,
  lastFailure: null,
  deadLetters: 0,
}
const WEBHOOK_MEMBERS = {
  webhookId: Id,
  url: Type.String(),
  kinds: Kinds,
  state: Type.Enum(['active', 'paused']),
  version: Type.Integer(),
  madeBy: Type.String(),
  madeAt: Type.String({ description: 'RFC 3339, UTC' }),
  toldUntil: Type.Integer({ description: 'id of an event: those up to it were taken or given up' }),
  lastToldAt: Instant,
  attempts: Type.Integer({ description: 'requests that have failed with the events that come next' }),
  nextAttemptAt: Instant,
  lastFailure: Type.Union([Type.String(), Type.Null()]),
  deadLetters: Type.Integer({ description: 'events that were given up' }),
}
const WebhookSchema = Type.Object(WEBHOOK_MEMBERS, { ...closed, examples: [EXAMPLE] })
const MadeSchema = Type.Object(
  {
    ...WEBHOOK_MEMBERS,
    secret: Type.Optional(
      Type.String({ description: 'where one was made: now and never again, also not in the answer to a repeat' }),
    ),
  },
  { ...closed, examples: [{ ...EXAMPLE, secret: 'whsec_Yc8p0q2bW1m4s6t8v0x2z4B6D8F0H2J4L6N8P0R2T4' }] },
)
const Next = Type.Union([Type.String(), Type.Null()], { description: 'cursor of the next page; null: there is none' })
const PageSchema = Type.Object(
  { items: Type.Array(WebhookSchema), next: Next },
  { ...closed, examples: [{ items: [EXAMPLE], next: null }] },
)

const DEAD_LETTER = {
  eventId: 1041,
  kind: 'card.reported_lost',
  givenUpAt: '2026-11-22T10:30:00.000Z',
  attempts: 12,
  failure: 'status 500',
}
const DeadLettersSchema = Type.Object(
  {
    items: Type.Array(
      Type.Object(
        {
          eventId: EventId,
          kind: Type.String(),
          givenUpAt: Type.String({ description: 'RFC 3339, UTC' }),
          attempts: Type.Integer(),
          failure: Type.String(),
        },
        closed,
      ),
    ),
    next: Next,
  },
  { ...closed, examples: [{ items: [DEAD_LETTER], next: null }] },
)

const ListQuery = Type.Object(PageQuery, closed)
const Params = Type.Object({ webhookId: Id }, closed)
const StateSchema = Type.Object(
  { state: Type.Enum(['active', 'paused'], { description: 'active or paused' }) },
  { ...closed, examples: [{ state: 'paused' }] },
)
const ReplaySchema = Type.Object({ after: EventId }, { ...closed, examples: [{ after: 1000 }] })

const NO_SUCH_WEBHOOK = refused('not-found', 'no-such-webhook', 'There is no such webhook.')

function shown(webhook: Webhook): Static<typeof WebhookSchema> {
  const instant = (at: Date | null): string | null => at?.toISOString() ?? null
  return {
    webhookId: webhook.id,
    url: webhook.url,
    kinds: [...webhook.kinds],
    state: webhook.state,
    version: webhook.version,
    madeBy: webhook.madeBy,
    madeAt: webhook.madeAt.toISOString(),
    toldUntil: webhook.toldUntil,
    lastToldAt: instant(webhook.lastToldAt),
    attempts: webhook.attempts,
    nextAttemptAt: instant(webhook.nextAt),
    lastFailure: webhook.lastFailure,
    deadLetters: webhook.deadLetters,
  }
}

function shownDeadLetter(letter: DeadLetter): Static<typeof DeadLettersSchema>['items'][number] {
  return { ...letter, givenUpAt: letter.givenUpAt.toISOString() }
}

export function webhookRoutes(app: FastifyInstance, parts: ProgrammeParts): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>()
  const { events: settings, production, security } = parts.config

  routes.post(
    '/v1/webhooks',
    {
      config: { permission: 'webhook:write' },
      schema: {
        summary: 'Have events sent to an address, from now on',
        tags: ['events'],
        headers: WriteHeaders,
        body: NewWebhookSchema,
        response: { 201: jsonResponse('The webhook, with its secret where one was made', MadeSchema), ...writeProblems() },
      },
    },
    (request, reply) => {
      const { url, kinds, secret: given } = request.body
      const secret = given ?? newWebhookSecret()
      const id = randomUUID()
      return answerCommand(
        parts,
        request,
        reply,
        {
          action: 'webhook.make',
          subject: `webhook ${id}`,
          detail: { kinds },
          shownOnce: () => (given === undefined ? { secret } : {}),
          work: async (tx) => {
            const problem = webhookUrlProblem(url, { production, ...settings.webhooks })
            if (problem !== undefined) return refused('invalid', 'webhook-address', problem, '/url')
            if (holdsCardNumber(url, security.profiles))
              return refused('invalid', 'webhook-address', 'an address without a card number', '/url')
            const webhook = {
              id,
              url,
              kinds,
              keyId: parts.vault.keyId,
              sealedSecret: parts.vault.seal({ field: 'webhook-secret', shard: tx.shard, owner: id }, secret),
              madeBy: actorOf(request).name,
              // Before the hub knows how far events are final: the last number there is.
              toldUntil: parts.events.final > 0 ? parts.events.final : await lastEventNumber(tx),
            }
            if (!(await insertWebhook(tx, webhook, settings.webhooks.max)))
              return refused('conflict', 'too-many-webhooks', 'There are as many webhooks as there may be. Delete one first.')
            return shownNow(tx, id)
          },
        },
        201,
      )
    },
  )

  routes.get(
    '/v1/webhooks',
    {
      config: { permission: 'event:read' },
      schema: {
        summary: 'All webhooks, and how far each is',
        tags: ['events'],
        querystring: ListQuery,
        response: { 200: jsonResponse('A page of webhooks', PageSchema), ...readProblems() },
      },
    },
    (request, reply) => {
      const page = pageStart(request.query)
      return answerRead(parts, reply, async (tx) => {
        const { items, next } = pageOf(await readWebhookPage(tx, page.after, page.look), page, ({ id }) => id)
        return done({ items: items.map(shown), next })
      })
    },
  )

  routes.get(
    '/v1/webhooks/:webhookId',
    {
      config: { permission: 'event:read' },
      schema: {
        summary: 'A webhook, and how far it is',
        tags: ['events'],
        params: Params,
        response: { 200: jsonResponse('The webhook; ETag is its version', WebhookSchema), ...readProblems() },
      },
    },
    (request, reply) =>
      answerRead(parts, reply, async (tx) => {
        const webhook = await readWebhook(tx, request.params.webhookId)
        if (webhook === undefined) return NO_SUCH_WEBHOOK
        void reply.header('etag', etag(webhook.version))
        return done(shown(webhook))
      }),
  )

  routes.patch(
    '/v1/webhooks/:webhookId',
    {
      config: { permission: 'webhook:write' },
      schema: {
        summary: 'Pause a webhook, or have it go on from where it was',
        tags: ['events'],
        params: Params,
        headers: WriteHeaders,
        body: StateSchema,
        response: {
          200: jsonResponse('The webhook as it is now', WebhookSchema),
          ...writeProblems({ 404: NO_SUCH_WEBHOOK.refusal.detail }),
        },
      },
    },
    (request, reply) => {
      const { webhookId } = request.params
      const { state } = request.body
      return answerCommand(parts, request, reply, {
        action: 'webhook.change',
        subject: `webhook ${webhookId}`,
        detail: { state },
        work: async (tx) => {
          const webhook = await lockedAt(tx, webhookId, versionSeen(request))
          if (!webhook.ok) return webhook
          await setWebhookState(tx, webhookId, state)
          return shownNow(tx, webhookId)
        },
      })
    },
  )

  routes.delete(
    '/v1/webhooks/:webhookId',
    {
      config: { permission: 'webhook:write' },
      schema: {
        summary: 'End a webhook, with what is known of it',
        tags: ['events'],
        params: Params,
        headers: WriteHeaders,
        response: {
          200: jsonResponse('The webhook as it was', WebhookSchema),
          ...writeProblems({ 404: NO_SUCH_WEBHOOK.refusal.detail }),
        },
      },
    },
    (request, reply) => {
      const { webhookId } = request.params
      return answerCommand(parts, request, reply, {
        action: 'webhook.delete',
        subject: `webhook ${webhookId}`,
        work: async (tx) => {
          const webhook = await lockedAt(tx, webhookId, versionSeen(request))
          if (!webhook.ok) return webhook
          await deleteWebhook(tx, webhookId)
          return done(shown(webhook.value))
        },
      })
    },
  )

  routes.get(
    '/v1/webhooks/:webhookId/deliveries',
    {
      config: { permission: 'event:read' },
      schema: {
        summary: 'Dead letters: the events that a webhook was not told, after all attempts',
        tags: ['events'],
        params: Params,
        querystring: ListQuery,
        response: { 200: jsonResponse('A page of events that were given up', DeadLettersSchema), ...readProblems() },
      },
    },
    (request, reply) => {
      const { webhookId } = request.params
      const page = pageStart(request.query)
      return answerRead(parts, reply, async (tx) => {
        if ((await readWebhook(tx, webhookId)) === undefined) return NO_SUCH_WEBHOOK
        const found = await readDeadLetters(tx, webhookId, numberAfter(page), page.look)
        const { items, next } = pageOf(found, page, ({ eventId }) => String(eventId))
        return done({ items: items.map(shownDeadLetter), next })
      })
    },
  )

  routes.post(
    '/v1/webhooks/:webhookId/replay',
    {
      config: { permission: 'webhook:write' },
      schema: {
        summary: 'Send everything after an event again, what was given up too',
        tags: ['events'],
        params: Params,
        headers: WriteHeaders,
        body: ReplaySchema,
        response: {
          202: jsonResponse('The webhook as it is now', WebhookSchema),
          ...writeProblems({ 404: NO_SUCH_WEBHOOK.refusal.detail }),
        },
      },
    },
    (request, reply) => {
      const { webhookId } = request.params
      const { after } = request.body
      return answerCommand(
        parts,
        request,
        reply,
        {
          action: 'webhook.replay',
          subject: `webhook ${webhookId}`,
          detail: { after },
          work: async (tx) => {
            const webhook = await lockedAt(tx, webhookId, versionSeen(request))
            if (!webhook.ok) return webhook
            if (after > webhook.value.toldUntil)
              return refused(
                'invalid',
                'not-told-yet',
                `at most ${String(webhook.value.toldUntil)}, up to which events were told`,
                '/after',
              )
            await replayWebhook(tx, webhookId, after)
            return shownNow(tx, webhookId)
          },
        },
        202,
      )
    },
  )
}

async function lockedAt(tx: SqlTransaction, id: string, version: number | undefined): Promise<Outcome<Webhook>> {
  const webhook = await lockWebhook(tx, id)
  if (webhook === undefined) return NO_SUCH_WEBHOOK
  if (version !== undefined && version !== webhook.version)
    return refused(
      'stale',
      'webhook-changed',
      `The webhook was changed meanwhile: it is at version ${String(webhook.version)}. Look again.`,
    )
  return done(webhook)
}

async function shownNow(tx: SqlTransaction, id: string): Promise<Outcome<Static<typeof WebhookSchema>>> {
  const webhook = await readWebhook(tx, id)
  return webhook === undefined ? NO_SUCH_WEBHOOK : done(shown(webhook))
}
