/** Problem details (RFC 9457): the only shape in which the HTTP server says that something went wrong. */
import { STATUS_CODES } from 'node:http'
import type { FastifyReply } from 'fastify'
import Type, { type Static, type TSchema } from 'typebox'

const FaultSchema = Type.Object({
  path: Type.String({ description: 'JSON pointer, header, query parameter or data element (`DE 4`)' }),
  expected: Type.String(),
  offset: Type.Optional(Type.Integer({ description: 'Byte of the message' })),
  found: Type.Optional(Type.String({ description: 'What was there instead, masked' })),
})

export const ProblemSchema = Type.Object(
  {
    type: Type.String({ description: '`about:blank`, or a name of the problem that does not change' }),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.Optional(Type.String({ description: 'What happened and what to do' })),
    errors: Type.Optional(Type.Array(FaultSchema)),
  },
  { examples: [{ type: 'about:blank', title: 'Not Found', status: 404 }] },
)

export type Problem = Static<typeof ProblemSchema>
export type ProblemFault = Static<typeof FaultSchema>

export const PROBLEM_TYPE = 'application/problem+json'

/** A problem that its status says all about. */
export function plainProblem(status: number, detail?: string): Problem {
  const title = STATUS_CODES[status] ?? 'Error'
  return { type: 'about:blank', title, status, ...(detail === undefined ? {} : { detail }) }
}

/** A problem with a name of its own. @param name words joined by hyphens */
export function namedProblem(name: string, problem: Omit<Problem, 'type'>): Problem {
  return { type: `urn:sarf:problem:${name}`, ...problem }
}

export function invalidRequest(errors: ProblemFault[]): Problem {
  return namedProblem('invalid-request', { title: 'The request is not what this call takes', status: 400, errors })
}

/** Nobody knows whether it was posted. */
export const OUTCOME_UNKNOWN = namedProblem('outcome-unknown', {
  title: 'The outcome is not known',
  status: 504,
  detail: 'The transaction may have been posted or not. Send it again with the same key or trace number, or reverse it.',
})

/** As text, so that no serializer leaves a member out. */
export function sendProblem(reply: FastifyReply, problem: Problem): void {
  void reply.code(problem.status).type(PROBLEM_TYPE).send(JSON.stringify(problem))
}

/** A response as JSON for a route's documentation; examples stay in the schema, where OpenAPI 3.1 wants them. */
export function jsonResponse(description: string, schema: TSchema): Record<string, unknown> {
  return { description, content: { 'application/json': { schema } } }
}

/** The problems that a route may answer, by status, for its documentation. */
export function problemResponses(descriptions: Readonly<Record<number, string>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(descriptions).map(([status, description]) => [
      status,
      { description, content: { [PROBLEM_TYPE]: { schema: ProblemSchema } } },
    ]),
  )
}
