"""The pipecat edge: transports, speech recognition, TwinService, speech synthesis."""

from pipecatapp.voice.pipecat_log import route_pipecat_log

# Before the first import of pipecat, which greets on stderr.
route_pipecat_log()
