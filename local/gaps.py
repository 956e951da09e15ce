"""Closes the gaps between the emulator and AWS that our product would fall into.

Each function whose name starts with `fix_` closes one; its comment says what AWS does, so that it can be deleted when the
emulator does it too (README.md, "a newer emulator"). They replace functions inside the emulator and are called once, before
it serves.

Order of reading: the order in which an event meets them - functions, events, metrics, API, people.
"""

from __future__ import annotations

import base64
import contextvars
import json
import re
import socketserver
import sys
import threading
import time
import types
from typing import Any

# How often queue depths are sampled and alarms evaluated. CloudWatch takes a minute; a test should not.
ALARM_SECONDS = 1.0
# API Gateway's limit for a request body.
API_BODY_BYTES_MAX = 10 * 1024 * 1024


# ---------------------------------------------------------------- functions


def fix_slow_runtime_api() -> None:
    """The Runtime API answers in small writes; with Nagle's algorithm each warm call waits 40 ms for an acknowledgement."""
    socketserver.StreamRequestHandler.disable_nagle_algorithm = True


def fix_numbers_in_environment() -> None:
    """CloudFormation makes numbers (from Mappings, say) text; the emulator hands them on and cannot start the process."""
    from ministack.services import lambda_svc

    variables_of = lambda_svc._runtime_env_vars

    def text_variables_of(config: dict[str, Any]) -> dict[str, str]:
        return {name: value if isinstance(value, str) else json.dumps(value) for name, value in variables_of(config).items()}

    lambda_svc._runtime_env_vars = text_variables_of


# ---------------------------------------------------------------- events


def fix_object_versions_in_events() -> None:
    """S3 events sent to EventBridge name the object's version (`version-id`), and a deletion has no size."""
    from ministack.services import eventbridge, s3

    version: contextvars.ContextVar[str] = contextvars.ContextVar("version", default="")
    fire, dispatch = s3._fire_s3_event, eventbridge._dispatch_event

    def fire_with_version(*args: Any, **options: Any) -> None:
        token = version.set(options.get("version_id") or "")
        try:
            fire(*args, **options)
        finally:
            version.reset(token)

    def dispatch_with_version(event: dict[str, Any], *args: Any) -> Any:
        if event.get("Source") == "aws.s3":
            detail = json.loads(event["Detail"])
            if version.get():
                detail["object"]["version-id"] = version.get()
            if event["DetailType"] == "Object Deleted":
                detail["object"].pop("size", None)
            event = {**event, "Detail": json.dumps(detail)}
        return dispatch(event, *args)

    s3._fire_s3_event, eventbridge._dispatch_event = fire_with_version, dispatch_with_version


def fix_stream_retries() -> None:
    """DynamoDB streams: partial batch failures, bisecting and MaximumRetryAttempts, then the on-failure destination.

    The emulator ignores all of them: it loses the records that a function reported as failed, and offers a batch that makes
    the function fail again for ever. Set MaximumRetryAttempts in the template: without it AWS retries until the record
    expires, and so does the emulator.
    """
    from ministack.services import lambda_svc

    execute = lambda_svc._execute_function

    def mapping_of(arn: str, function: str) -> dict[str, Any]:
        mappings = (mapping for _, _, mapping in lambda_svc._iter_all_esms())
        return next((m for m in mappings if m.get("EventSourceArn") == arn and m.get("FunctionName") == function), {})

    def execute_batch(func: dict[str, Any], event: Any, *args: Any, **options: Any) -> dict[str, Any]:
        records = event.get("Records") if isinstance(event, dict) else None
        if not records or not isinstance(records[0], dict) or records[0].get("eventSource") != "aws:dynamodb":
            return execute(func, event, *args, **options)
        arn = records[0]["eventSourceARN"]
        mapping = mapping_of(arn, (func.get("config") or func)["FunctionName"])
        retries = mapping.get("MaximumRetryAttempts")
        if retries is None or int(retries) < 0:
            return execute(func, event, *args, **options)

        def deliver(batch: list[dict[str, Any]], left: int) -> None:
            while batch:
                result = execute(func, {"Records": batch}, *args, **options)
                failed = reported_failures(result) if "ReportBatchItemFailures" in mapping.get("FunctionResponseTypes", []) else set()
                if not result.get("error") and not failed:
                    return
                if failed:  # a stream is in order: everything from the first failed record on is offered again
                    numbers = [record["dynamodb"]["SequenceNumber"] for record in batch]
                    batch = batch[next((i for i, number in enumerate(numbers) if number in failed), 0) :]
                if left == 0:
                    lambda_svc._send_ddb_stream_failure_record(mapping, func, batch, arn, result, "RetryAttemptsExhausted")
                    return
                left -= 1
                if mapping.get("BisectBatchOnFunctionError") and len(batch) > 1:
                    half = len(batch) // 2
                    deliver(batch[:half], left)
                    batch = batch[half:]
                time.sleep(0.1)

        deliver(list(records), int(retries))
        return {"body": None}

    lambda_svc._execute_function = execute_batch


def reported_failures(result: dict[str, Any]) -> set[str]:
    """The item identifiers in a function's `batchItemFailures`; none if the function failed as a whole."""
    if result.get("error"):
        return set()
    body = result.get("body")
    if isinstance(body, (str, bytes)):
        try:
            body = json.loads(body)
        except ValueError:
            return set()
    if not isinstance(body, dict):
        return set()
    return {failure.get("itemIdentifier") for failure in body.get("batchItemFailures") or []}


def fix_secret_versions() -> None:
    """PutSecretValue: a token that has another text is refused, the same text again changes nothing, a label is taken from the
    version that had it. The emulator overwrites the version and leaves its label on two."""
    from ministack.core.responses import error_response_json, json_response
    from ministack.services import secretsmanager

    put = secretsmanager._put_secret_value

    def put_version(data: dict[str, Any]) -> Any:
        _, secret = secretsmanager._resolve(data.get("SecretId"))
        version = data.get("ClientRequestToken")
        if not secret or secret.get("DeletedDate"):
            return put(data)
        known = secret["Versions"].get(version) or {}
        if known.get("SecretString") is not None:
            if known["SecretString"] != data.get("SecretString"):
                message = "You can't use ClientRequestToken for a different secret value."
                return error_response_json("ResourceExistsException", message, 400)
            same = {"ARN": secret["ARN"], "Name": secret["Name"], "VersionId": version, "VersionStages": list(known["Stages"])}
            return json_response(same)
        answer = put(data)
        for stage in data.get("VersionStages") or []:
            if stage != "AWSCURRENT":
                secretsmanager._remove_stage_everywhere(secret, stage, except_version_id=version)
        return answer

    secretsmanager._put_secret_value = put_version


def fix_secret_rotation() -> None:
    """RotateSecret calls the rotation function four times, or once if it is to begin later; the emulator calls nothing and reports
    success."""
    from ministack.core.responses import json_response, new_uuid
    from ministack.services import lambda_svc, secretsmanager

    rotate_alone = secretsmanager._rotate_secret

    def rotate(data: dict[str, Any]) -> Any:
        _, secret = secretsmanager._resolve(data.get("SecretId"))
        function = data.get("RotationLambdaARN") or (secret or {}).get("RotationLambdaARN")
        if not secret or not function or secret.get("DeletedDate"):
            return rotate_alone(data)
        rules = data.get("RotationRules") or secret.get("RotationRules")
        secret.update(RotationLambdaARN=function, RotationEnabled=True, RotationRules=rules)
        version = data.get("ClientRequestToken") or new_uuid()
        if data.get("RotateImmediately", True):
            secret["Versions"][version] = {
                "SecretString": None,
                "SecretBinary": None,
                "CreatedDate": int(time.time()),
                "Stages": ["AWSPENDING"],
            }
            # A thread, because the function calls the emulator back; the context carries account and region into it.
            context = contextvars.copy_context()
            threading.Thread(target=context.run, args=(run_steps, secret["ARN"], function, version), daemon=True).start()
        else:
            context = contextvars.copy_context()
            threading.Thread(target=context.run, args=(try_out, secret, function, version), daemon=True).start()
        return json_response({"ARN": secret["ARN"], "Name": secret["Name"], "VersionId": version})

    def try_out(secret: dict[str, Any], function: str, version: str) -> None:
        """What is switched on for later is tried out: testSecret alone, with a version that is there for that long."""
        secret["Versions"][version] = {"SecretString": None, "SecretBinary": None, "CreatedDate": int(time.time()), "Stages": ["AWSPENDING"]}
        run_steps(secret["ARN"], function, version, ("testSecret",))
        secret["Versions"].pop(version, None)

    def run_steps(arn: str, function: str, version: str, steps: tuple[str, ...] = ("createSecret", "setSecret", "testSecret", "finishSecret")) -> None:
        record, _ = lambda_svc._get_func_record_for_qualifier(function.split(":function:")[1].split(":")[0], None)
        for step in steps:
            event = {"Step": step, "SecretId": arn, "ClientRequestToken": version}
            if lambda_svc._execute_function(record, event).get("error"):
                return

    secretsmanager._rotate_secret = rotate


# ---------------------------------------------------------------- metrics and alarms


def fix_metrics_and_alarms() -> None:
    """Metrics that a function writes into its log (EMF), Lambda's own metrics for every kind of trigger, queue depths, and
    alarms that look at the metric of their own dimensions and are evaluated without being asked."""
    from ministack.services import cloudwatch, lambda_svc

    publish_lambda, emit_logs = lambda_svc._emit_lambda_metrics, lambda_svc._emit_lambda_logs

    def emit_logs_and_metrics(func: dict[str, Any], request_id: str, text: str, error: bool, duration_ms: int, **options: Any) -> None:
        emit_logs(func, request_id, text, error, duration_ms, **options)
        publish_lambda((func.get("config") or func)["FunctionName"], duration_ms=duration_ms, error=error, throttle=False)
        for line in (text or "").splitlines():
            record_embedded_metrics(line)

    def publish_throttles(function_name: str, duration_ms: float, error: bool, throttle: bool) -> None:
        # The emulator publishes for direct calls only; emit_logs_and_metrics sees every call, and must not count twice.
        if throttle:
            publish_lambda(function_name, duration_ms=duration_ms, error=error, throttle=throttle)

    evaluate = cloudwatch._evaluate_alarm

    def evaluate_own_dimensions(alarm: dict[str, Any]) -> None:
        dimensions = cloudwatch._dims_key({d["Name"]: d["Value"] for d in alarm.get("Dimensions") or []})
        own = {key: points for key, points in cloudwatch._metrics.items() if key[2] == dimensions}
        # The same code over a view of the metrics: the original takes every metric of that name, whatever it is about.
        types.FunctionType(evaluate.__code__, {**vars(cloudwatch), "_metrics": own})(alarm)
        end_without_data(alarm, own)

    act = cloudwatch._dispatch_alarm_actions

    def act_and_tell(alarm: dict[str, Any], old: str, new: str, reason: str) -> None:
        act(alarm, old, new, reason)
        tell_event_bus(alarm, old, new, reason)

    cloudwatch._dispatch_alarm_actions = act_and_tell
    lambda_svc._emit_lambda_logs = emit_logs_and_metrics
    lambda_svc._emit_lambda_metrics = publish_throttles
    cloudwatch._evaluate_alarm = evaluate_own_dimensions
    threading.Thread(target=watch_alarms, daemon=True).start()


def end_without_data(alarm: dict[str, Any], own: dict[Any, list[dict[str, Any]]]) -> None:
    """An alarm whose metric has gone quiet, and for which silence is good, is over. The emulator leaves it in ALARM for ever, and
    what happens next time is no change of state that anybody would be told of."""
    from ministack.services import cloudwatch

    if alarm.get("StateValue") != "ALARM" or alarm.get("TreatMissingData") != "notBreaching":
        return
    begin = time.time() - alarm.get("Period", 60) * alarm.get("EvaluationPeriods", 1)
    metric = (alarm.get("Namespace"), alarm.get("MetricName"))
    if any(point["Timestamp"] >= begin for key, points in own.items() if key[:2] == metric for point in points):
        return
    reason = "no datapoints were received, and missing data is not breaching"
    alarm.update(StateValue="OK", StateReason=reason, StateUpdatedTimestamp=int(time.time()))
    cloudwatch._record_history(alarm["AlarmName"], "ALARM", "OK", reason)
    cloudwatch._dispatch_alarm_actions(alarm, "ALARM", "OK", reason)


def tell_event_bus(alarm: dict[str, Any], old: str, new: str, reason: str) -> None:
    """Every change of an alarm's state is an event of the default bus, which the emulator does not send."""
    from ministack.core.responses import get_account_id, get_region, new_uuid
    from ministack.services import eventbridge

    state = {"value": new, "reason": reason}
    detail = {"alarmName": alarm.get("AlarmName", ""), "state": state, "previousState": {"value": old}}
    eventbridge._dispatch_event({
        "EventId": new_uuid(),
        "Source": "aws.cloudwatch",
        "DetailType": "CloudWatch Alarm State Change",
        "Detail": json.dumps(detail),
        "EventBusName": "default",
        "Time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "Resources": [alarm.get("AlarmArn", "")],
        "Account": get_account_id(),
        "Region": get_region(),
    })


def record_embedded_metrics(line: str) -> None:
    """Records the metrics of one log line in CloudWatch's embedded metric format; any other line is nothing to us."""
    from ministack.services import cloudwatch

    try:
        entry = json.loads(line) if '"_aws"' in line else {}
        for directive in entry.get("_aws", {}).get("CloudWatchMetrics", []):
            for names in directive.get("Dimensions") or [[]]:
                dimensions = {name: str(entry[name]) for name in names}
                for metric in directive.get("Metrics", []):
                    values = entry[metric["Name"]]
                    for value in values if isinstance(values, list) else [values]:
                        cloudwatch.record_metric(directive["Namespace"], metric["Name"], value, metric.get("Unit", "None"), dimensions)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        # CloudWatch drops a malformed document silently; here the developer is told.
        print(f"launcher: embedded metrics not understood: {error!r}", file=sys.stderr)


def watch_alarms() -> None:
    """Once a second: samples the depth of queues that an alarm watches, and evaluates the alarms."""
    from ministack.core.responses import request_scope
    from ministack.services import cloudwatch

    while True:
        time.sleep(ALARM_SECONDS)
        try:
            for account, region in {key[:2] for key in list(cloudwatch._alarms._data)}:
                with request_scope(account, region):
                    sample_queue_depths()
                    cloudwatch._evaluate_all_alarms()
        except (KeyError, RuntimeError) as error:
            # Something was deleted meanwhile. The next round sees it.
            print(f"launcher: alarms skipped once: {error!r}", file=sys.stderr)


def sample_queue_depths() -> None:
    """Records AWS/SQS ApproximateNumberOfMessagesVisible for the queues that an alarm of this account and region watches."""
    from ministack.services import cloudwatch, sqs

    name = "ApproximateNumberOfMessagesVisible"
    watched = {
        dimension["Value"]
        for alarm in list(cloudwatch._alarms.values())
        if alarm.get("MetricName") == name
        for dimension in alarm.get("Dimensions") or []
        if dimension["Name"] == "QueueName"
    }
    for queue_name in watched:
        queue = sqs._queues.get(sqs._queue_url(queue_name))
        if queue is None:
            continue
        now = time.time()
        depth = sum(1 for message in list(queue["messages"]) if message.get("visible_at", 0) <= now)
        if depth:  # no data counts as not breaching in our alarms, and an empty queue need not fill the memory
            cloudwatch.record_metric("AWS/SQS", name, depth, "Count", {"QueueName": queue_name})


# ---------------------------------------------------------------- API


def fix_rest_api() -> None:
    """REST API with a Cognito authorizer: groups are joined by commas, access tokens are refused on methods without scopes,
    bodies over the limit are refused, and a function that fails is answered through the gateway response instead of showing
    its error to the caller."""
    from ministack.services import apigateway_v1 as gateway

    stringify, validate = gateway._stringify_claims, gateway._validate_cognito_authorizer
    shape, invoke, check = gateway._lambda_proxy_response, gateway._invoke_lambda_proxy_v1, gateway._check_request_validation
    function_failed = "launcher: function failed"

    def stringify_like_rest(claims: dict[str, Any]) -> dict[str, str]:
        # The emulator's "[a b]" is what an HTTP API sends.
        joined = {name: ",".join(map(str, value)) if isinstance(value, list) else value for name, value in (claims or {}).items()}
        return stringify(joined)

    async def validate_identity(authorizer: Any, method: dict[str, Any], *args: Any) -> Any:
        claims, refusal = await validate(authorizer, method, *args)
        if claims and claims.get("token_use") != "id" and not method.get("authorizationScopes"):
            return None, gateway._gw_error("UNAUTHORIZED", "Unauthorized")
        return claims, refusal

    def check_with_size(method: Any, api: str, request: Any, headers: Any, body: bytes, query: Any) -> Any:
        if len(body or b"") > API_BODY_BYTES_MAX:
            return gateway._gw_error("REQUEST_TOO_LARGE", "Request Too Long")
        return check(method, api, request, headers, body, query)

    def shape_or_fail(result: dict[str, Any]) -> Any:
        response, error = shape(result)
        return (None, function_failed) if error else (response, None)

    async def invoke_or_refuse(*args: Any, **options: Any) -> Any:
        answer = await invoke(*args, **options)
        if isinstance(answer, tuple) and answer[0] == 502 and answer[2] == json.dumps({"message": function_failed}).encode():
            return gateway._gw_error("DEFAULT_5XX", "Internal server error")
        return answer

    gateway._stringify_claims, gateway._validate_cognito_authorizer = stringify_like_rest, validate_identity
    gateway._lambda_proxy_response, gateway._invoke_lambda_proxy_v1 = shape_or_fail, invoke_or_refuse
    gateway._check_request_validation = check_with_size


def fix_access_log() -> None:
    """A stage with an access log setting writes a line for each request, refused ones included, in the setting's format. The
    emulator keeps the setting and writes nothing, and a function is told another request id than the caller."""
    from ministack.services import apigateway_v1 as gateway
    from ministack.services import cloudwatch_logs as logs

    current: contextvars.ContextVar[dict[str, Any]] = contextvars.ContextVar("current", default={})
    execute, build_event = gateway._execute_in_scope, gateway._build_lambda_event_v1
    refuse = gateway._gateway_error_response

    def refuse_with_id(error: Any, request: dict[str, Any]) -> Any:
        status, headers, body = refuse(error, request)
        return status, headers, body.replace(b"$context.extendedRequestId", request["request_id"].encode())

    def build_event_of_request(*args: Any, **options: Any) -> dict[str, Any]:
        event = build_event(*args, **options)
        request, context = current.get(), event["requestContext"]
        context["extendedRequestId"] = request.get("request_id", context["requestId"])
        # A caller may choose this one on AWS, and nothing of ours may rest on it.
        sent = {name.lower(): value for name, value in (request.get("headers") or {}).items()}.get("x-amzn-requestid")
        context["requestId"] = sent if isinstance(sent, str) and sent else context["extendedRequestId"]
        claims = (context.get("authorizer") or {}).get("claims") or {}
        request["access"] = {"integrationStatus": "200", "authorizer.claims.sub": claims.get("sub", "-")}
        return event

    async def execute_and_log(request: dict[str, Any], api: str, stage_name: str, method: str, *args: Any) -> Any:
        begun = time.time()
        token = current.set(request)
        try:
            answer = await execute(request, api, stage_name, method, *args)
        finally:
            current.reset(token)
        refused = isinstance(answer, gateway._GatewayError)
        write_line(
            (request["stage"] or {}).get("accessLogSettings") or {},
            {
                "extendedRequestId": request["request_id"],
                "requestTimeEpoch": str(int(begun * 1000)),
                "httpMethod": method,
                "resourcePath": request["resource_path"] or "-",
                "status": str((gateway._gateway_error_response(answer, request) if refused else answer)[0]),
                "responseLatency": str(int((time.time() - begun) * 1000)),
                "error.responseType": answer.response_type if refused else "-",
                **request.get("access", {}),
            },
        )
        return answer

    def write_line(setting: dict[str, str], values: dict[str, str]) -> None:
        group = setting.get("destinationArn", "").partition(":log-group:")[2].removesuffix(":*")
        if not group or group not in logs._log_groups:
            return
        line = re.sub(r"\$context\.([A-Za-z.]*[A-Za-z])", lambda name: values.get(name.group(1), "-"), setting["format"])
        stream = {"logGroupName": group, "logStreamName": "access"}
        if "access" not in logs._log_groups[group]["streams"]:
            logs._create_log_stream(stream)
        logs._put_log_events({**stream, "logEvents": [{"timestamp": int(time.time() * 1000), "message": line}]})

    gateway._execute_in_scope, gateway._build_lambda_event_v1 = execute_and_log, build_event_of_request
    gateway._gateway_error_response = refuse_with_id


def fix_response_streaming() -> None:
    """A streaming integration invokes the function at another address, and the answer is a prelude (JSON: status and headers),
    eight zero bytes and the body. The emulator finds no function there, and would hand the prelude through. AWS passes the
    body on as it comes; here it comes when it is whole."""
    from ministack.services import apigateway_v1 as gateway
    from ministack.services import lambda_svc

    reference_of, to_response = gateway._extract_lambda_ref_from_integration_uri, lambda_svc.lambda_execute_result_to_api_proxy_response

    def reference_of_either(uri: str) -> str:
        return reference_of((uri or "").replace("/response-streaming-invocations", "/invocations"))

    def to_response_without_prelude(result: dict[str, Any]) -> Any:
        body = result.get("body")
        if isinstance(body, str) and "\0" * 8 in body and not result.get("error"):
            prelude, _, rest = body.partition("\0" * 8)
            return {**json.loads(prelude), "body": rest}, None
        return to_response(result)

    gateway._extract_lambda_ref_from_integration_uri = reference_of_either
    lambda_svc.lambda_execute_result_to_api_proxy_response = to_response_without_prelude


# ---------------------------------------------------------------- people


def fix_own_attributes() -> None:
    """A person may change only those of their attributes that the app client may write. The emulator lets them change all,
    so that anybody could move to another tenant."""
    from ministack.core.responses import error_response_json
    from ministack.services import cognito

    update = cognito._update_user_attributes

    def update_allowed(data: dict[str, Any]) -> Any:
        token = data.get("AccessToken", "")
        _, pool = cognito._user_pool_for_access_token(token)
        if pool:
            payload = token.split(".")[1]
            claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
            allowed = (pool.get("_clients") or {}).get(claims.get("client_id"), {}).get("WriteAttributes")
            wanted = {attribute["Name"] for attribute in data.get("UserAttributes", [])}
            if allowed and not wanted <= set(allowed):
                return error_response_json("NotAuthorizedException", "A client attempted to write unauthorized attribute", 400)
        return update(data)

    cognito._update_user_attributes = update_allowed


ALL = (
    fix_slow_runtime_api,
    fix_numbers_in_environment,
    fix_object_versions_in_events,
    fix_stream_retries,
    fix_secret_versions,
    fix_secret_rotation,
    fix_metrics_and_alarms,
    fix_rest_api,
    fix_access_log,
    fix_response_streaming,
    fix_own_attributes,
)
