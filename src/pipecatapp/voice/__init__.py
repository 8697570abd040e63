"""The pipecat edge: transports, speech recognition, TwinService, speech synthesis."""
