// The messages of the contract that the console reads, as JSON: `proto/cidery/v1`. Fields with their default are
// absent, 64-bit integers are texts. Types only.

/** @typedef {any} Json a `Struct` or `Value` as what it stands for */

/**
 * @typedef {object} Failure
 * @property {string} code
 * @property {string} [reason]
 * @property {string} [message]
 * @property {boolean} [retryable]
 * @property {string} [retryDelay]
 * @property {Record<string, any>[]} [details]
 */
/**
 * @typedef {object} Content an input, an output or an item: one of three forms
 * @property {Json} [payload]
 * @property {Json} [value]
 * @property {string} [document] base64
 * @property {string} [dataFormat]
 */
/** @typedef {Content & {failure?: Failure, metadata?: Record<string, string>}} Outcome */
/** @typedef {{fraction?: number, message?: string, value?: Json}} Progress */
/**
 * @typedef {object} Attempt
 * @property {number} number
 * @property {string} [worker]
 * @property {string} startTime
 * @property {string} [endTime]
 * @property {Failure} [failure]
 * @property {string} [trace]
 * @property {NestedCall[]} [nestedCalls]
 * @property {number} [omittedNestedCalls]
 */
/**
 * @typedef {object} NestedCall
 * @property {string} service
 * @property {string} caller
 * @property {number} depth
 * @property {string} startTime
 * @property {string} endTime
 * @property {Failure} [failure]
 */
/** @typedef {{members?: number, ended?: number, onEach?: string[], onFinal?: string[]}} Group */
/**
 * @typedef {object} Invocation
 * @property {string} cid
 * @property {string} [service]
 * @property {string} state
 * @property {string} [pendingReason]
 * @property {boolean} [cancelRequested]
 * @property {boolean} [waitingForCompletion]
 * @property {number} [attempt]
 * @property {string} acceptTime
 * @property {string} [startTime]
 * @property {string} [firstAttemptTime]
 * @property {string} [endTime]
 * @property {string} [expireTime]
 * @property {string} [deadline]
 * @property {string} [purgeTime]
 * @property {string} [parentCid]
 * @property {string} [rootCid]
 * @property {string} [groupCid]
 * @property {string} [retryOf]
 * @property {string} [retriedAs]
 * @property {string} [inReplyTo]
 * @property {string} [idempotencyKey]
 * @property {string} [concurrencyKey]
 * @property {string} [principal]
 * @property {string} [actingPrincipal]
 * @property {Record<string, string>} [metadata]
 * @property {Progress} [progress]
 * @property {Outcome} [outcome]
 * @property {Failure} [lastFailure]
 * @property {Content} [input]
 * @property {Attempt[]} [attempts]
 * @property {string[]} [childCids]
 * @property {string[]} [callbackCids]
 * @property {string} [sequence]
 * @property {number} [groupPosition]
 * @property {Group} [group]
 * @property {number} [invocationsAhead]
 * @property {string} [keyHolderCid]
 * @property {number} [maxAttempts]
 * @property {boolean} [paused]
 */
/**
 * @typedef {object} InvocationEvent one event of a stream of results
 * @property {string} cid
 * @property {string} [sequence]
 * @property {number} [attempt]
 * @property {string} [eventTime]
 * @property {{service?: string, startTime?: string}} [accepted]
 * @property {{worker?: string}} [started]
 * @property {{progress: Progress}} [progress]
 * @property {Content} [item]
 * @property {{failure: Failure, startTime?: string}} [retryScheduled]
 * @property {Outcome} [succeeded]
 * @property {{failure: Failure}} [failed]
 * @property {{failure: Failure}} [cancelled]
 * @property {{failure: Failure}} [expired]
 * @property {{reason: string, message?: string}} [notFound]
 */
/**
 * @typedef {object} Summary
 * @property {string} [service]
 * @property {string} state
 * @property {string} [pendingReason]
 * @property {string} [failureReason]
 * @property {string} count
 * @property {string} [firstAcceptTime]
 * @property {string} [lastAcceptTime]
 * @property {string} [exampleCid]
 * @property {string} [exampleMessage]
 */
/**
 * @typedef {object} ServiceSummary
 * @property {string} name
 * @property {string} [description]
 * @property {string} health
 * @property {string} [running]
 * @property {string} [pending]
 * @property {number} [locations]
 * @property {string[]} [workers]
 */
/**
 * @typedef {object} Element
 * @property {string} name
 * @property {string} [type]
 * @property {boolean} [optional]
 * @property {string} [defaultJson]
 * @property {Element[]} [elements]
 * @property {Element} [item]
 * @property {string} [description]
 * @property {string[]} [oneOf]
 * @property {string} [minimum]
 * @property {string} [maximum]
 */
/** @typedef {{elements?: Element[], list?: boolean, value?: boolean}} Elements */
/** @typedef {{input?: Elements, output?: Elements, responseElem?: string, unknownKeys?: string}} SimpleIo */
/** @typedef {{maxAttempts?: number, initialInterval?: string, maxInterval?: string}} RetryPolicy */
/**
 * @typedef {object} ServiceOptions
 * @property {boolean} [idempotent]
 * @property {string} [timeout]
 * @property {string} [attemptTimeout]
 * @property {RetryPolicy} [retryPolicy]
 * @property {number} [concurrency]
 * @property {number} [queueLength]
 * @property {string} [retention]
 * @property {string} [failureRetention]
 * @property {string} [pendingLimit]
 * @property {string} [onExhausted]
 * @property {number} [rate]
 * @property {number} [burst]
 */
/** @typedef {{name: string, description?: string, sio?: SimpleIo, options?: ServiceOptions}} Declaration */
/** @typedef {{reason?: string, principal?: string, time?: string}} ControlCause */
/**
 * @typedef {object} ServiceControl
 * @property {string} service
 * @property {boolean} [paused]
 * @property {boolean} [backgroundOnly]
 * @property {boolean} [disabled]
 * @property {string} [reason]
 * @property {string} [principal]
 * @property {string} [time]
 */
/**
 * @typedef {object} ServiceLocation
 * @property {string} [workerId]
 * @property {string} [workerName]
 * @property {string} [buildId]
 * @property {string} [declarationHash]
 * @property {string} [running]
 * @property {string} [sinceTime]
 * @property {boolean} [away]
 */
/**
 * @typedef {object} ServiceDescription
 * @property {Declaration} declaration
 * @property {ServiceOptions} [effectiveOptions]
 * @property {string} health
 * @property {ServiceLocation[]} [locations]
 * @property {string} [inputSchema]
 * @property {string} [outputSchema]
 * @property {string} [typedMethod]
 * @property {string} [typedMethodNote]
 * @property {Declaration[]} [otherDeclarations]
 * @property {string} [running]
 * @property {string} [pending]
 * @property {string} [queued]
 * @property {ServiceControl} [control]
 * @property {string} [lastServedTime]
 */
/** @typedef {{bounds: number[], counts: string[], sum?: number}} Histogram */
/**
 * @typedef {object} ServiceStats
 * @property {string} service
 * @property {{kind: string, outcome: string, count: string}[]} [outcomes]
 * @property {Histogram} [duration]
 * @property {string} [queued]
 * @property {string} [pending]
 * @property {string} [running]
 * @property {string} [oldestDueTime]
 * @property {number} [workers]
 * @property {string} [lastFailureReason]
 * @property {{period?: string, calls?: string, failed?: string, durationP50?: number, durationP99?: number}} [recent]
 * @property {string} [recentAttempts]
 * @property {string} [recentFailedAttempts]
 */
/** @typedef {{stats?: ServiceStats[], nextPageToken?: string, observeTime: string, startTime: string}} StatsAnswer */
/**
 * @typedef {object} Worker
 * @property {string} id
 * @property {string} [name]
 * @property {string} [buildId]
 * @property {string[]} [services]
 * @property {number} [inFlight]
 * @property {number} [maxInFlight]
 * @property {string} [connectTime]
 * @property {string} [peer]
 * @property {boolean} [draining]
 * @property {boolean} [away]
 * @property {string[]} [capabilities]
 */
/**
 * @typedef {object} Action
 * @property {{reason?: string}} [cancel]
 * @property {{inputPatchJson?: string}} [retry]
 * @property {object} [release]
 * @property {object} [purge]
 */
/**
 * @typedef {object} Operation
 * @property {string} [id]
 * @property {Action} action
 * @property {boolean} [all]
 * @property {string} [state]
 * @property {string} [createTime]
 * @property {string} [endTime]
 * @property {string} [matched]
 * @property {string} [processed]
 * @property {string} [changed]
 * @property {{reason: string, count: string, exampleCid?: string, message?: string}[]} [refusals]
 * @property {Failure} [failure]
 * @property {string} [principal]
 * @property {string} [filterExpression]
 * @property {object} [filter]
 * @property {number} [maxPerSecond]
 */
/**
 * @typedef {object} Status
 * @property {string} version
 * @property {string} startTime
 * @property {string} [services]
 * @property {string} [workers]
 * @property {string} [workersAway]
 * @property {string} [running]
 * @property {string} [pending]
 * @property {string} store
 * @property {string} [storeSizeBytes]
 * @property {string} [storeBytesLimit]
 * @property {boolean} [held]
 * @property {string} health
 * @property {{reason: string, message: string}[]} [healthReasons]
 * @property {string} [diskFreeBytes]
 * @property {{service: string, cid: string, dueTime: string, pendingReason?: string, pending?: string}[]} [oldestDue]
 * @property {{service: string, pending?: string, lastServedTime?: string}[]} [unservedServices]
 * @property {ServiceControl[]} [controls]
 * @property {{name: string, service?: string, used?: string, limit?: string}[]} [limits]
 * @property {number} [operations]
 * @property {string} [heldInvocations]
 * @property {string} [failedInvocations]
 * @property {FailingService[]} [failingServices]
 */
/**
 * @typedef {object} FailingService
 * @property {string} service
 * @property {string} [calls]
 * @property {string} [failures]
 * @property {string} [reason]
 * @property {string} [exampleCid]
 * @property {string} [exampleMessage]
 */
/**
 * @typedef {object} Sample
 * @property {string} time
 * @property {string} [succeeded]
 * @property {string} [failed]
 * @property {string} [cancelled]
 * @property {string} [expired]
 * @property {string} [refused]
 * @property {number} [durationP50]
 * @property {number} [durationP99]
 * @property {string} [running]
 * @property {string} [queued]
 * @property {string} [pending]
 * @property {number} [oldestDueAge]
 */
/** @typedef {{samples?: Sample[], interval?: string, startTime: string, observeTime: string}} HistoryAnswer */

export {};
