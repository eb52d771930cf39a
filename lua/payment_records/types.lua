---@meta
--- The shapes of what goes in and comes out, for editors (LuaCATS). Nothing requires this file at run time.
-- Source: Stripe's OpenAPI description, API version 2026-09-30.endive. Times are whole seconds since the Unix epoch,
-- amounts are integers in the currency's minor unit.
-- SPDX-License-Identifier: MIT

---@class payment_records.ClientOptions
---@field api_key string|(fun(): string)|nil a function is asked once per call, so that keys can rotate
---@field api_base string|nil default "https://api.stripe.com"; http:// for loopback hosts only
---@field api_version string|nil sent as Stripe-Version; default "2026-09-30.endive"
---@field stripe_account string|nil Connect: act for this account
---@field stripe_context string|nil
---@field timeout number|nil seconds for one attempt, all of it; default 80
---@field connect_timeout number|nil seconds; default 30
---@field deadline number|nil seconds for a call with all its attempts and waits; default none
---@field max_retries integer|nil attempts after the first; default 2
---@field max_in_flight integer|nil calls on the wire at once; default 64
---@field max_response_bytes integer|nil larger answers are refused; default 4 MiB
---@field ca_file string|nil certificates to trust in place of the system's
---@field proxy string|nil the environment's proxies are ignored
---@field unix_socket string|nil path of a socket to connect to
---@field allow_unknown_params boolean|nil send parameters and enum values that this version does not know
---@field null any what JSON null becomes in a record; by default the field is absent
---@field sleep (fun(seconds: number))|false|nil yields to the caller's scheduler; false: block, even in nginx
---@field on_attempt fun(event: payment_records.AttemptEvent)|nil after every attempt
---@field transport payment_records.Transport|nil another way to carry a request
---@field app_info { name: string|nil, version: string|nil, url: string|nil }|nil added to the User-Agent

---@class payment_records.CallOptions
---@field idempotency_key string|nil default: 128 random bits
---@field api_key string|nil
---@field stripe_account string|nil
---@field stripe_context string|nil
---@field api_version string|nil
---@field timeout number|nil
---@field deadline number|nil
---@field max_retries integer|nil
---@field allow_unknown_params boolean|nil
---@field on_done payment_records.OnDone|nil called once, when the call is done

---@alias payment_records.OnDone
---| fun(record: table|nil, err: payment_records.Error|nil, response: payment_records.Response)

---@alias payment_records.Transport
---| fun(request: payment_records.Request): payment_records.TransportResponse|nil, string|nil

---@class payment_records.Request
---@field method "GET"|"POST"
---@field url string
---@field path string with the query
---@field headers table<string, string>
---@field body string|nil of a POST
---@field timeout number seconds
---@field connect_timeout number seconds

---@class payment_records.TransportResponse
---@field status integer
---@field headers table<string, string|string[]>|nil
---@field body string|nil

---@class payment_records.Call
---@field done fun(self: payment_records.Call): boolean
---@field result fun(self: payment_records.Call): table|nil, payment_records.Error|nil, payment_records.Response|nil
---@field cancel fun(self: payment_records.Call) ends the call as canceled_error, with a true outcome

---@class payment_records.AttemptEvent
---@field name string of the call
---@field method string
---@field path string without the query
---@field attempt integer counted from 1
---@field status integer|nil
---@field elapsed number seconds
---@field request_id string|nil
---@field idempotency_key string|nil
---@field error_type string|nil
---@field wait number|nil seconds before the next attempt; nil when none follows

---@class payment_records.Response
---@field status integer|nil
---@field request_id string|nil
---@field idempotency_key string|nil of a POST
---@field attempts integer how often the request went over the wire
---@field elapsed number seconds
---@field replayed boolean Stripe answered from its memory of an earlier request with this key
---@field headers table<string, string>|nil names in lower case; made when first asked for
---@field callback_error any what on_attempt or on_done raised
---@field error payment_records.Error|nil of a call that failed; the response prints as it, too

---@class payment_records.Error
---@field type string Stripe's, or validation_error, connection_error, timeout_error, response_error, canceled_error
---@field message string this and other texts of a server's: at most 1 KiB
---@field outcome "not_sent"|"rejected"|"unknown"
---@field retryable boolean whether the same call may succeed later
---@field attempts integer
---@field code string|nil
---@field param string|nil
---@field doc_url string|nil
---@field request_log_url string|nil
---@field status integer|nil
---@field request_id string|nil
---@field idempotency_key string|nil
---@field curl_code integer|nil
---@field body string|nil at most 500 bytes of an answer that was not Stripe's

---@class payment_records.Parameter
---@field name string
---@field type "string"|"integer"|"currency"|"timestamp"|"enum"|"object"|"metadata"|"array"
---@field required boolean
---@field clearable boolean whether Stripe takes an empty value, which clears the field
---@field enum string[]|nil
---@field max_length integer|nil characters
---@field minimum integer|nil
---@field maximum integer|nil
---@field params payment_records.Parameter[]|nil of an object

---@class payment_records.Amount
---@field currency string three lower-case letters
---@field value integer

---@class payment_records.Address
---@field city string|nil
---@field country string|nil two letters
---@field line1 string|nil
---@field line2 string|nil
---@field postal_code string|nil
---@field state string|nil

---@class payment_records.BillingDetails
---@field address payment_records.Address|nil
---@field email string|nil
---@field name string|nil
---@field phone string|nil

---@class payment_records.ShippingDetails
---@field address payment_records.Address|nil
---@field name string|nil
---@field phone string|nil

---@class payment_records.CustomerDetails
---@field customer string|nil
---@field email string|nil
---@field name string|nil
---@field phone string|nil

--- One of `payment_method` and `type` is required.
---@class payment_records.PaymentMethodDetails
---@field billing_details payment_records.BillingDetails|nil
---@field custom { display_name: string|nil, type: string|nil }|nil
---@field payment_method string|nil
---@field type "custom"|nil

---@class payment_records.ProcessorDetails
---@field type "custom"
---@field custom { payment_reference: string }|nil

---@alias payment_records.Metadata table<string, string|integer|boolean>|""

---@class payment_records.ReportPaymentParams
---@field amount_requested payment_records.Amount
---@field initiated_at integer
---@field payment_method_details payment_records.PaymentMethodDetails
---@field canceled { canceled_at: integer }|nil with outcome = "canceled"
---@field customer_details payment_records.CustomerDetails|nil
---@field customer_presence "off_session"|"on_session"|nil
---@field description string|nil
---@field failed { failed_at: integer }|nil with outcome = "failed"
---@field guaranteed { guaranteed_at: integer }|nil with outcome = "guaranteed"
---@field metadata payment_records.Metadata|nil
---@field outcome "canceled"|"failed"|"guaranteed"|nil
---@field processor_details payment_records.ProcessorDetails|nil
---@field shipping_details payment_records.ShippingDetails|nil
---@field expand string[]|nil

---@class payment_records.ReportPaymentAttemptParams
---@field initiated_at integer
---@field canceled { canceled_at: integer }|nil with outcome = "canceled"
---@field description string|nil
---@field failed { failed_at: integer }|nil with outcome = "failed"
---@field guaranteed { guaranteed_at: integer }|nil with outcome = "guaranteed"
---@field metadata payment_records.Metadata|nil
---@field outcome "canceled"|"failed"|"guaranteed"|nil
---@field payment_method_details payment_records.PaymentMethodDetails|nil
---@field shipping_details payment_records.ShippingDetails|nil
---@field expand string[]|nil

---@class payment_records.ReportPaymentAttemptCanceledParams
---@field canceled_at integer
---@field metadata payment_records.Metadata|nil
---@field expand string[]|nil

---@class payment_records.ReportPaymentAttemptFailedParams
---@field failed_at integer
---@field metadata payment_records.Metadata|nil
---@field expand string[]|nil

---@class payment_records.ReportPaymentAttemptGuaranteedParams
---@field guaranteed_at integer
---@field metadata payment_records.Metadata|nil
---@field expand string[]|nil

---@class payment_records.ReportPaymentAttemptInformationalParams
---@field customer_details payment_records.CustomerDetails|nil
---@field description string|nil "" clears it
---@field metadata payment_records.Metadata|nil
---@field shipping_details payment_records.ShippingDetails|""|nil "" clears it
---@field expand string[]|nil

---@class payment_records.ReportRefundParams
---@field outcome "refunded"
---@field processor_details { type: "custom", custom: { refund_reference: string }|nil }
---@field amount payment_records.Amount|nil default: all that is not refunded yet
---@field initiated_at integer|nil
---@field metadata payment_records.Metadata|nil
---@field refunded { refunded_at: integer }|nil
---@field expand string[]|nil

---@class payment_records.RetrieveParams
---@field expand string[]|nil

---@class payment_records.ListPaymentRecordsParams
---@field created_after integer|nil
---@field created_before integer|nil
---@field ending_before string|nil id
---@field limit integer|nil 1 to 100
---@field starting_after string|nil id
---@field expand string[]|nil

---@class payment_records.ListPaymentAttemptRecordsParams
---@field payment_record string id
---@field limit integer|nil 1 to 100
---@field starting_after string|nil id
---@field expand string[]|nil

--- What records and attempts have in common. Every field but `id` may be absent.
---@class payment_records.RecordFields
---@field id string
---@field object string
---@field amount payment_records.Amount
---@field amount_authorized payment_records.Amount
---@field amount_canceled payment_records.Amount
---@field amount_failed payment_records.Amount
---@field amount_guaranteed payment_records.Amount
---@field amount_refunded payment_records.Amount
---@field amount_requested payment_records.Amount
---@field application string|nil
---@field created integer
---@field customer_details payment_records.CustomerDetails|nil
---@field customer_presence string|nil
---@field description string|nil
---@field livemode boolean
---@field metadata table<string, string>
---@field payment_method_details table|nil
---@field processor_details payment_records.ProcessorDetails
---@field reported_by string
---@field shipping_details payment_records.ShippingDetails|nil

---@class payment_records.PaymentAttemptRecord: payment_records.RecordFields
---@field payment_record string|nil id of the record it belongs to

---@class payment_records.PaymentRecord: payment_records.RecordFields
---@field latest_payment_attempt_record string|nil id

---@class payment_records.List
---@field object "list"
---@field url string
---@field has_more boolean
---@field data table[]
